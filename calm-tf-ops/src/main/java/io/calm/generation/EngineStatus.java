package io.calm.generation;

/**
 * What an engine is doing at a moment.
 *
 * @param slots S
 * @param active slots in use
 * @param waiting requests without a slot
 * @param accepted requests since it was opened
 * @param ended of these, however they ended
 */
public record EngineStatus(int slots, int active, int waiting, long accepted, long ended) {
}

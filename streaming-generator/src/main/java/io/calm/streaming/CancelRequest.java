package io.calm.streaming;

/**
 * Ends a text whose caller no longer wants it.
 *
 * @param requestId names the request
 */
public record CancelRequest(String requestId) {
}

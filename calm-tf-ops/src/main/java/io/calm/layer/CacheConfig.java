package io.calm.layer;

/**
 * The size of a key/value cache.
 *
 * @param slots S, texts that grow side by side
 * @param pagesPerSlot how long each can become, in pages
 */
public record CacheConfig(int slots, int pagesPerSlot) {

	/** The prefix of the cache's variables. */
	public static final String PREFIX = "cache.";

	/** B, positions of a page. */
	public static final int PAGE = 16;

	/**
	 * A cache for a given context.
	 * @param slots S
	 * @param context positions of a slot, rounded up to whole pages
	 * @return its size
	 */
	public static CacheConfig of(int slots, int context) {
		return new CacheConfig(slots, (context + PAGE - 1) / PAGE);
	}

	/**
	 * C, positions of a slot.
	 * @return pages times their size
	 */
	public int context() {
		return this.pagesPerSlot * PAGE;
	}

}

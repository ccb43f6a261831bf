package io.calm.sampling;

import java.util.Arrays;

/**
 * Which patches were drawn and how often. Distinct patches are numbered in the order of
 * their first appearance.
 */
final class PatchCounts {

	private final int[] tokens;

	private final int patchSize;

	private final int draws;

	/** Where among the draws each distinct patch appeared first. */
	private final int[] first;

	private final int[] counts;

	/**
	 * Counts draws in one pass.
	 * @param tokens the draws one after the other, kept as it is
	 * @param patchSize K
	 * @param draws how many draws there are, at least 1
	 */
	PatchCounts(int[] tokens, int patchSize, int draws) {
		this.tokens = tokens;
		this.patchSize = patchSize;
		this.draws = draws;
		int[] first = new int[draws];
		int[] hashes = new int[draws];
		int[] counts = new int[draws];
		// at most half full; a slot holds the number of a distinct patch plus 1
		int[] slots = new int[Integer.highestOneBit(Math.max(draws, 2) - 1) << 2];
		int mask = slots.length - 1;
		int distinct = 0;
		for (int draw = 0; draw < draws; draw++) {
			int hash = hash(tokens, draw * patchSize, patchSize);
			int slot = hash & mask;
			int known = slots[slot] - 1;
			while (known >= 0 && !(hashes[known] == hash && same(tokens, patchSize, first[known], draw))) {
				slot = (slot + 1) & mask;
				known = slots[slot] - 1;
			}
			if (known < 0) {
				known = distinct++;
				slots[slot] = distinct;
				first[known] = draw;
				hashes[known] = hash;
			}
			counts[known]++;
		}
		this.first = first;
		this.counts = Arrays.copyOf(counts, distinct);
	}

	/** How many draws there are. */
	int draws() {
		return this.draws;
	}

	/** How often each distinct patch was drawn. */
	int[] counts() {
		return this.counts;
	}

	/** The tokens of a distinct patch. */
	int[] patch(int number) {
		int from = this.first[number] * this.patchSize;
		return Arrays.copyOfRange(this.tokens, from, from + this.patchSize);
	}

	/** The number of tokens of each of the patches that a source returned. */
	static int patchSize(int[] tokens, int count) {
		if (tokens.length < count || tokens.length % count != 0) {
			throw new IllegalStateException("The source returned " + tokens.length + " tokens for " + count
					+ " patches, which is no whole number of tokens for each");
		}
		return tokens.length / count;
	}

	/** Whether two draws are the same patch. */
	static boolean same(int[] tokens, int patchSize, int draw, int other) {
		int a = draw * patchSize;
		int b = other * patchSize;
		for (int k = 0; k < patchSize; k++) {
			if (tokens[a + k] != tokens[b + k]) {
				return false;
			}
		}
		return true;
	}

	private static int hash(int[] tokens, int from, int length) {
		int hash = length;
		for (int k = 0; k < length; k++) {
			hash = Integer.rotateLeft((hash ^ tokens[from + k]) * 0x9E3779B1, 15);
		}
		hash = (hash ^ (hash >>> 16)) * 0x85EBCA6B;
		return hash ^ (hash >>> 13);
	}

}

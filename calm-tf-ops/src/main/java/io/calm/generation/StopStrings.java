package io.calm.generation;

import java.util.List;

/**
 * Looks for stop strings in a text that comes in pieces. What may be the beginning of one
 * is kept back until it is known.
 */
final class StopStrings {

	private final List<String> stops;

	private final StringBuilder pending = new StringBuilder();

	private boolean found;

	StopStrings(List<String> stops) {
		this.stops = stops;
	}

	/** Takes the next piece and gives out what is certain to be text. */
	String append(String piece) {
		this.pending.append(piece);
		int end = -1;
		for (String stop : this.stops) {
			int at = this.pending.indexOf(stop);
			end = (at >= 0 && (end < 0 || at < end)) ? at : end;
		}
		this.found = end >= 0;
		return giveOut(this.found ? end : this.pending.length() - longestBeginning());
	}

	/** The rest of a text that has ended. */
	String flush() {
		return giveOut(this.pending.length());
	}

	boolean found() {
		return this.found;
	}

	/** How many of the last characters may belong to a stop string. */
	private int longestBeginning() {
		int longest = 0;
		for (String stop : this.stops) {
			for (int length = Math.min(stop.length() - 1, this.pending.length()); length > longest; length--) {
				if (stop.startsWith(this.pending.substring(this.pending.length() - length))) {
					longest = length;
				}
			}
		}
		return longest;
	}

	private String giveOut(int length) {
		String text = this.pending.substring(0, length);
		this.pending.delete(0, length);
		return text;
	}

}

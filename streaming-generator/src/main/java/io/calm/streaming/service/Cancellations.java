package io.calm.streaming.service;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The cancellations of the last minutes, whose requests may not have been taken up yet.
 * Whoever may cancel could send any number of them: when they take too much memory, the
 * oldest are forgotten.
 */
final class Cancellations {

	/** Of the map and the objects in it, for each. */
	private static final long OVERHEAD = 150;

	private final Duration memory;

	private final long mostBytes;

	private final Clock clock;

	/** In the order of the times. */
	private final Map<String, Instant> times = new LinkedHashMap<>();

	private long bytes;

	Cancellations(Duration memory, long mostBytes, Clock clock) {
		this.memory = memory;
		this.mostBytes = mostBytes;
		this.clock = clock;
	}

	synchronized void add(String id) {
		// one that is known would keep its old place
		if (this.times.remove(id) == null) {
			this.bytes += size(id);
		}
		this.times.put(id, this.clock.instant());
		forget();
	}

	synchronized boolean contains(String id) {
		forget();
		return this.times.containsKey(id);
	}

	private void forget() {
		Instant oldest = this.clock.instant().minus(this.memory);
		Iterator<Map.Entry<String, Instant>> each = this.times.entrySet().iterator();
		while (each.hasNext()) {
			Map.Entry<String, Instant> next = each.next();
			if (!next.getValue().isBefore(oldest) && this.bytes <= this.mostBytes) {
				return;
			}
			this.bytes -= size(next.getKey());
			each.remove();
		}
	}

	private static long size(String id) {
		return OVERHEAD + (long) Character.BYTES * id.length();
	}

}

package io.calm.streaming.service;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;

import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * What is remembered of requests that may never come.
 */
class CancellationMemoryTests {

	private final MovableClock clock = new MovableClock();

	private final Cancellations cancellations = new Cancellations(Duration.ofMinutes(10), 1 << 20, this.clock);

	@Test
	void forgetsAfterItsTime() {
		this.cancellations.add("a");
		this.clock.now = this.clock.now.plus(Duration.ofMinutes(9));
		this.cancellations.add("b");
		assertThat(this.cancellations.contains("a")).isTrue();
		this.clock.now = this.clock.now.plus(Duration.ofMinutes(2));
		assertThat(this.cancellations.contains("a")).isFalse();
		assertThat(this.cancellations.contains("b")).isTrue();
	}

	@Test
	void oneThatIsRepeatedDoesNotKeepThoseBehindIt() {
		this.cancellations.add("a");
		this.cancellations.add("b");
		this.clock.now = this.clock.now.plus(Duration.ofMinutes(9));
		this.cancellations.add("a");
		this.clock.now = this.clock.now.plus(Duration.ofMinutes(2));
		assertThat(this.cancellations.contains("b")).isFalse();
		assertThat(this.cancellations.contains("a")).isTrue();
	}

	@Test
	void forgetsTheOldestWhenItsMemoryIsFull() {
		String filler = "x".repeat(1000);
		for (int i = 0; i < 10_000; i++) {
			this.cancellations.add(filler + i);
		}
		assertThat(this.cancellations.contains(filler + 0)).isFalse();
		assertThat(this.cancellations.contains(filler + 9_000)).isFalse();
		assertThat(this.cancellations.contains(filler + 9_900)).isTrue();
		assertThat(this.cancellations.contains(filler + 9_999)).isTrue();
	}

	private static final class MovableClock extends Clock {

		private Instant now = Instant.EPOCH;

		@Override
		public ZoneId getZone() {
			return ZoneOffset.UTC;
		}

		@Override
		public Clock withZone(ZoneId zone) {
			throw new UnsupportedOperationException();
		}

		@Override
		public Instant instant() {
			return this.now;
		}

	}

}

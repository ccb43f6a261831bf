package io.calm.generation;

import java.time.Duration;
import java.util.function.Consumer;

import io.calm.graph.Precision;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;

/**
 * How large an engine is and where it computes.
 *
 * @param slots S, texts that are generated side by side
 * @param context the longest text in patches (in tokens for the baseline), prompt
 * included; at most the model's own
 * @param queue requests that may wait for a slot
 * @param buffer chunks that a text may be ahead of its reader; then it waits for him
 * @param readerTimeout how long it waits before it ends and another text gets its slot
 * @param program device and precision
 */
public record EngineOptions(int slots, int context, int queue, int buffer, Duration readerTimeout,
		ProgramOptions program) {

	/** Refuses numbers that are out of range. */
	public EngineOptions {
		atLeastOne("slots", slots);
		if (context < 2) {
			throw new InvalidInputException("context", "is " + context,
					"choose at least 2 patches: one of the prompt and one to generate");
		}
		atLeastOne("queue", queue);
		atLeastOne("buffer", buffer);
		if (readerTimeout.isNegative() || readerTimeout.isZero()) {
			throw new InvalidInputException("engine, reader timeout", "is " + readerTimeout, "choose a positive time");
		}
	}

	/**
	 * Options, beginning with the defaults.
	 * @param options sets what differs
	 * @return the options
	 * @throws InvalidInputException if a number is out of its range
	 */
	public static EngineOptions of(Consumer<Builder> options) {
		Builder builder = new Builder();
		options.accept(builder);
		return new EngineOptions(builder.slots, builder.context, builder.queue, builder.buffer, builder.readerTimeout,
				builder.program);
	}

	private static void atLeastOne(String name, int value) {
		if (value < 1) {
			throw new InvalidInputException("engine, " + name, "is " + value, "choose a positive number");
		}
	}

	/**
	 * Builds options.
	 */
	public static final class Builder {

		private int slots = 4;

		private int context = 512;

		private int queue = 64;

		private int buffer = 64;

		private Duration readerTimeout = Duration.ofMinutes(5);

		private ProgramOptions program = ProgramOptions.DEFAULT.withPrecision(Precision.AUTO);

		private Builder() {
		}

		/**
		 * Texts that are generated side by side.
		 * @param slots 4 by default
		 * @return this
		 */
		public Builder slots(int slots) {
			this.slots = slots;
			return this;
		}

		/**
		 * The longest text, prompt included.
		 * @param patches 512 by default; tokens for the baseline
		 * @return this
		 */
		public Builder context(int patches) {
			this.context = patches;
			return this;
		}

		/**
		 * Requests that may wait for a slot; more are refused.
		 * @param requests 64 by default
		 * @return this
		 */
		public Builder queue(int requests) {
			this.queue = requests;
			return this;
		}

		/**
		 * Chunks that a text may be ahead of its reader.
		 * @param chunks 64 by default
		 * @return this
		 */
		public Builder buffer(int chunks) {
			this.buffer = chunks;
			return this;
		}

		/**
		 * How long a text that is far ahead of its reader waits for him. Then it ends
		 * with a {@link java.util.concurrent.CancellationException}: a reader who has
		 * stopped without a word must not keep a slot for ever.
		 * @param time 5 minutes by default
		 * @return this
		 */
		public Builder readerTimeout(Duration time) {
			this.readerTimeout = time;
			return this;
		}

		/**
		 * Sets device and precision.
		 * @param program on the device at hand by default, in bf16 on a CPU with
		 * instructions for it, otherwise in fp32
		 * @return this
		 */
		public Builder program(ProgramOptions program) {
			this.program = program;
			return this;
		}

	}

}

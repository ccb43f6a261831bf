package io.calm.streaming.client;

import java.time.Duration;
import java.util.function.Consumer;

import io.calm.streaming.JsonMessageFormat;
import io.calm.streaming.MessageFormat;
import org.jspecify.annotations.Nullable;

/**
 * Where a client sends, and how long it waits.
 *
 * @param requests the topic of the requests
 * @param chunks the topic where the service writes by default
 * @param control the topic of the cancellations
 * @param replyTopic another topic for the chunks, which the service must allow, or
 * {@code null}
 * @param timeout the longest time from a request to its end
 * @param format of the messages
 */
public record ClientOptions(String requests, String chunks, String control, @Nullable String replyTopic,
		Duration timeout, MessageFormat format) {

	/** Checks the time. */
	public ClientOptions {
		if (timeout.isNegative() || timeout.isZero()) {
			throw new IllegalArgumentException("The timeout is " + timeout + "; give a positive time");
		}
	}

	/**
	 * Options, beginning with the defaults.
	 * @param options sets what differs
	 * @return the options
	 */
	public static ClientOptions of(Consumer<Builder> options) {
		Builder builder = new Builder();
		options.accept(builder);
		return new ClientOptions(builder.requests, builder.chunks, builder.control, builder.replyTopic, builder.timeout,
				builder.format);
	}

	/**
	 * Builds options.
	 */
	public static final class Builder {

		private String requests = "calm.requests";

		private String chunks = "calm.chunks";

		private String control = "calm.control";

		private @Nullable String replyTopic;

		private Duration timeout = Duration.ofMinutes(5);

		private MessageFormat format = new JsonMessageFormat();

		private Builder() {
		}

		/**
		 * The topic of the requests.
		 * @param topic {@code calm.requests} by default
		 * @return this
		 */
		public Builder requests(String topic) {
			this.requests = topic;
			return this;
		}

		/**
		 * The topic where the service writes by default.
		 * @param topic {@code calm.chunks} by default
		 * @return this
		 */
		public Builder chunks(String topic) {
			this.chunks = topic;
			return this;
		}

		/**
		 * The topic of the cancellations.
		 * @param topic {@code calm.control} by default
		 * @return this
		 */
		public Builder control(String topic) {
			this.control = topic;
			return this;
		}

		/**
		 * Asks for the chunks on another topic, so that this client need not read those
		 * of others. The service must allow it.
		 * @param topic none by default
		 * @return this
		 */
		public Builder replyTopic(String topic) {
			this.replyTopic = topic;
			return this;
		}

		/**
		 * The longest time from a request to its end.
		 * @param timeout 5 minutes by default
		 * @return this
		 */
		public Builder timeout(Duration timeout) {
			this.timeout = timeout;
			return this;
		}

		/**
		 * The form of the messages.
		 * @param format JSON by default
		 * @return this
		 */
		public Builder format(MessageFormat format) {
			this.format = format;
			return this;
		}

	}

}

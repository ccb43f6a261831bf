package io.calm.streaming;

/**
 * Headers of the records. Those of Spring Kafka are used where it has one:
 * {@code kafka_correlationId}, {@code kafka_replyTopic}, {@code kafka_replyPartition} and
 * those of dead letters, {@code kafka_dlt-original-…}.
 */
public final class MessageHeaders {

	/**
	 * The header of a request that says when its text is of no use any more, in
	 * milliseconds since 1970 as decimal digits.
	 */
	public static final String DEADLINE = "calm_deadline";

	/** Of a dead letter: the {@link FailureReason}. */
	public static final String REASON = "calm_reason";

	/** Of a dead letter: what is wrong, for people. */
	public static final String MESSAGE = "calm_message";

	/**
	 * Of a dead letter that is too large for its topic and therefore has no value: how
	 * large the original is, in bytes as decimal digits.
	 */
	public static final String OMITTED_SIZE = "calm_omitted-size";

	private MessageHeaders() {
	}

}

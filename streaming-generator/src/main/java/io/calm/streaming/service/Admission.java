package io.calm.streaming.service;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.function.Consumer;

import io.calm.generation.GenerationRequest;
import io.calm.input.InvalidInputException;
import io.calm.spring.TextGenerator;
import io.calm.streaming.FailureReason;
import io.calm.streaming.InvalidMessageException;
import io.calm.streaming.MessageFormat;
import io.calm.streaming.MessageHeaders;
import io.calm.streaming.TextRequest;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;

/**
 * Reads requests and checks what they ask for, before anything is done for them.
 */
final class Admission {

	/**
	 * A deadline beyond this is none: callers write "never" as the greatest number there
	 * is, which no clock can count to.
	 */
	private static final Duration NEVER = Duration.ofDays(36_500);

	private final MessageFormat format;

	private final TextGenerator generator;

	private final StreamingProperties properties;

	private final long defaultSeed;

	private final Clock clock;

	Admission(MessageFormat format, TextGenerator generator, StreamingProperties properties, long defaultSeed,
			Clock clock) {
		this.format = format;
		this.generator = generator;
		this.properties = properties;
		this.defaultSeed = defaultSeed;
		this.clock = clock;
	}

	/**
	 * A request that may be generated.
	 *
	 * @param prompt the beginning of the text
	 * @param promptTokens of the prompt
	 * @param options of the generation
	 */
	record Admitted(String prompt, int promptTokens, Consumer<GenerationRequest.Builder> options) {
	}

	/**
	 * The name of a request: its key. It comes back with every chunk, twice.
	 * @throws InvalidMessageException if there is none, or one that is too long
	 */
	static String id(ConsumerRecord<byte[], byte[]> record, StreamingProperties.Limits limits) {
		byte[] key = record.key();
		if (key == null || key.length == 0) {
			throw new InvalidMessageException(FailureReason.MISSING_KEY,
					"the record has no key, which is the id of the request");
		}
		atMost("bytes of the key", key.length, limits.key().toBytes());
		try {
			return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(key)).toString();
		}
		catch (CharacterCodingException ex) {
			throw new InvalidMessageException(FailureReason.MISSING_KEY,
					"the key of the record, which is the id of the request, is not UTF-8", ex);
		}
	}

	/**
	 * Checks a request.
	 * @throws InvalidMessageException if it is refused
	 */
	Admitted admit(ConsumerRecord<byte[], byte[]> record, String id) {
		StreamingProperties.Limits limits = this.properties.limits();
		atMost("bytes of all headers", Destination.size(record), limits.headers().toBytes());
		Destination.returned(record)
			.forEach((header) -> atMost("bytes of the header " + Event.sentAs(header.key()), Destination.size(header),
					limits.header().toBytes()));
		Event.check(record);
		byte[] value = record.value();
		if (value == null) {
			throw new InvalidMessageException(FailureReason.INVALID_MESSAGE, "the record has no value");
		}
		atMost("bytes of the value", value.length, limits.payload().toBytes());
		TextRequest request = this.format.readRequest(id, deadlineHeader(record), value);
		Instant now = this.clock.instant();
		Instant deadline = deadline(record, request.deadline(), now);
		if (deadline != null && !deadline.isAfter(now)) {
			throw new InvalidMessageException(FailureReason.DEADLINE_PASSED,
					"the deadline had passed before the request was taken up");
		}
		check(request, limits);
		int promptTokens = this.generator.countTokens(request.prompt());
		if (limits.promptTokens() != null) {
			atMost("tokens of the prompt", promptTokens, limits.promptTokens());
		}
		Consumer<GenerationRequest.Builder> options = (builder) -> apply(request,
				(deadline != null) ? Duration.between(now, deadline) : null, builder);
		try {
			GenerationRequest.of("", options);
		}
		catch (InvalidInputException ex) {
			throw new InvalidMessageException(FailureReason.INVALID_VALUE, String.valueOf(ex.getMessage()), ex);
		}
		return new Admitted(request.prompt(), promptTokens, options);
	}

	private static void check(TextRequest request, StreamingProperties.Limits limits) {
		if (request.maxNewTokens() != null) {
			atMost("new tokens", request.maxNewTokens(), limits.maxNewTokens());
		}
		if (request.candidates() != null) {
			atMost("candidates", request.candidates(), limits.candidates());
		}
		Double temperature = request.temperature();
		if (temperature != null && !(temperature > 0 && temperature <= 1)) {
			// the range of the message, whatever the model could do
			throw new InvalidMessageException(FailureReason.INVALID_VALUE,
					"the temperature is " + temperature + "; choose one in (0, 1]");
		}
		if (temperature != null && temperature < limits.minTemperature()) {
			throw new InvalidMessageException(FailureReason.LIMIT_EXCEEDED,
					"the temperature " + temperature + " is below " + limits.minTemperature() + ", the lowest here");
		}
		List<String> stop = request.stop();
		if (stop != null) {
			atMost("stop strings", stop.size(), limits.stopStrings());
			stop.forEach((each) -> atMost("characters of a stop string", each.length(), limits.stopLength()));
		}
	}

	private static void atMost(String what, long number, long limit) {
		if (number > limit) {
			throw new InvalidMessageException(FailureReason.LIMIT_EXCEEDED,
					number + " " + what + " are more than " + limit + ", the most here");
		}
	}

	private static @Nullable Instant deadlineHeader(ConsumerRecord<byte[], byte[]> record) {
		byte[] header = Destination.value(record, MessageHeaders.DEADLINE);
		if (header == null) {
			return null;
		}
		try {
			return Instant.ofEpochMilli(Long.parseLong(new String(header, StandardCharsets.US_ASCII)));
		}
		catch (NumberFormatException ex) {
			throw new InvalidMessageException(FailureReason.INVALID_MESSAGE,
					"the header " + MessageHeaders.DEADLINE + " is not a number of milliseconds", ex);
		}
	}

	/** The earlier of the caller's deadline and that of the service's limit. */
	private @Nullable Instant deadline(ConsumerRecord<byte[], byte[]> record, @Nullable Instant asked, Instant now) {
		Instant never = now.plus(NEVER);
		Duration limit = this.properties.limits().deadline();
		Instant latest = never;
		if (limit != null && limit.compareTo(NEVER) < 0) {
			// the caller sets the time of the record, too
			Instant sent = Instant.ofEpochMilli(record.timestamp());
			latest = (sent.isBefore(now) ? sent : now).plus(limit);
		}
		Instant deadline = (asked != null && asked.isBefore(latest)) ? asked : latest;
		return deadline.isBefore(never) ? deadline : null;
	}

	private void apply(TextRequest request, @Nullable Duration left, GenerationRequest.Builder builder) {
		if (request.maxNewTokens() != null) {
			builder.maxNewTokens(request.maxNewTokens());
		}
		if (request.temperature() != null) {
			builder.temperature(request.temperature());
		}
		if (request.candidates() != null) {
			builder.candidates(request.candidates());
		}
		if (request.exact() != null) {
			builder.exact(request.exact());
		}
		if (request.stop() != null) {
			builder.stop(request.stop().toArray(String[]::new));
		}
		if (left != null) {
			builder.deadline(left);
		}
		builder.seed(seed((request.seed() != null) ? request.seed() : this.defaultSeed, request.id()));
	}

	/**
	 * Depends on nothing but the request, so that another attempt says the same, and on
	 * its id, so that requests without a seed differ.
	 */
	private static long seed(long seed, String id) {
		UUID hash = UUID.nameUUIDFromBytes(id.getBytes(StandardCharsets.UTF_8));
		return new SplittableRandom(seed ^ hash.getMostSignificantBits() ^ hash.getLeastSignificantBits()).nextLong();
	}

}

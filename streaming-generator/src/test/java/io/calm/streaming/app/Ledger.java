package io.calm.streaming.app;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;

import io.calm.streaming.FailureReason;
import io.calm.streaming.JsonMessageFormat;
import io.calm.streaming.TextChunk;
import io.calm.streaming.client.ChunkFilter;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;

import org.springframework.kafka.support.KafkaHeaders;

/**
 * Knows what was asked of the services of one mode, reads what is in their topics, and
 * says what is wrong with it: everything that the mode has not promised.
 */
final class Ledger {

	private static final JsonMessageFormat FORMAT = new JsonMessageFormat();

	/** What may be wrong. */
	enum Wrong {

		/** A request without an end, an end without the chunks before it, or no text. */
		LOST,
		/** A second end of an attempt, a second result, a second dead letter of one. */
		DOUBLED,
		/** A chunk before its predecessor, or a result before that of an earlier one. */
		REORDERED,
		/** On another request's id, topic, partition, or with its headers. */
		MISPLACED,
		/** Another text than that of a service which nobody has disturbed. */
		CHANGED

	}

	/** What the caller does with a request, which decides how it may end. */
	enum Kind {

		/** Waits for its text. */
		WHOLE(TextChunk.Status.COMPLETED),
		/** Cancels it, too late or not. */
		CANCELLED(TextChunk.Status.COMPLETED, TextChunk.Status.CANCELLED),
		/** Has a deadline that may pass before or in the text. */
		LATE(TextChunk.Status.COMPLETED, TextChunk.Status.CANCELLED, TextChunk.Status.FAILED),
		/** Asks for what no service takes. */
		REFUSED(TextChunk.Status.FAILED);

		private final List<TextChunk.Status> ends;

		Kind(TextChunk.Status... ends) {
			this.ends = List.of(ends);
		}

	}

	/** Whether a text is one record, once, or chunks, at least once. */
	private final boolean results;

	/** Whether the service may give up after some deliveries. */
	private final boolean deliveries;

	private final Map<String, Asked> asked = new ConcurrentHashMap<>();

	private final Map<Wrong, List<String>> findings = new EnumMap<>(Wrong.class);

	/** Of the results, by partition of the chunks and partition of the requests. */
	private final Map<List<Integer>, Long> offsets = new HashMap<>();

	private final Map<String, Integer> ends = new TreeMap<>();

	private int records;

	private int attempts;

	private int voidAttempts;

	private int repeated;

	Ledger(String mode) {
		this.results = mode.equals("results");
		this.deliveries = mode.equals("share-group");
	}

	/** A request and what is known of it. */
	private static final class Asked {

		private final Kind kind;

		private @Nullable ConsumerRecord<byte[], byte[]> request;

		private @Nullable String client;

		private @Nullable String expected;

		private final ChunkFilter filter = new ChunkFilter();

		private final StringBuilder read = new StringBuilder();

		private final Map<Long, Attempt> attempts = new TreeMap<>();

		private TextChunk.@Nullable End end;

		private int results;

		private int letters;

		private Asked(Kind kind) {
			this.kind = kind;
		}

	}

	/** What one attempt has written. */
	private static final class Attempt {

		private final List<String> texts = new ArrayList<>();

		private final BitSet seen = new BitSet();

		private TextChunk.@Nullable End end;

		/** As far as there is no gap. */
		private String text() {
			return String.join("", this.texts.subList(0, this.seen.nextClearBit(0)));
		}

	}

	private void found(Wrong wrong, String id, String what) {
		this.findings.computeIfAbsent(wrong, (key) -> new ArrayList<>()).add(id + ": " + what);
	}

	/** Somebody is about to ask. */
	void asks(String id, Kind kind) {
		if (this.asked.putIfAbsent(id, new Asked(kind)) != null) {
			throw new IllegalArgumentException("The request " + id + " has been asked before");
		}
	}

	/**
	 * What came of it for its caller.
	 * @param text null if it was refused
	 */
	void answered(String id, @Nullable String text) {
		request(id).client = (text != null) ? text : "";
	}

	/** What a service says that nobody disturbs. */
	void expects(String id, String text) {
		request(id).expected = text;
	}

	private Asked request(String id) {
		return Objects.requireNonNull(this.asked.get(id), id);
	}

	List<String> ids(Kind... kinds) {
		return this.asked.entrySet()
			.stream()
			.filter((each) -> List.of(kinds).contains(each.getValue().kind))
			.map(Map.Entry::getKey)
			.sorted()
			.toList();
	}

	/** A record of the topic of requests. */
	void request(ConsumerRecord<byte[], byte[]> request) {
		String id = new String(request.key(), StandardCharsets.UTF_8);
		Asked known = this.asked.get(id);
		if (known == null) {
			found(Wrong.MISPLACED, id, "nobody asked that");
		}
		else if (known.request != null) {
			found(Wrong.DOUBLED, id, "it is twice in the topic of requests");
		}
		else {
			known.request = request;
		}
	}

	/** A record of the topic of chunks, after all of the requests. */
	void chunk(ConsumerRecord<byte[], byte[]> record) {
		this.records++;
		TextChunk chunk = FORMAT.readChunk(record.value());
		String id = chunk.requestId();
		Asked known = this.asked.get(id);
		if (known == null || known.request == null) {
			found(Wrong.MISPLACED, id, "nobody asked that here");
			return;
		}
		if (!isWhereTheCallerListens(record, id, known.request)) {
			found(Wrong.MISPLACED, id, "number " + chunk.seq() + " is in partition " + record.partition());
			return;
		}
		if (this.results) {
			result(known, known.request, record, chunk);
		}
		else {
			attempted(known, chunk);
		}
	}

	private static boolean isWhereTheCallerListens(ConsumerRecord<byte[], byte[]> record, String id,
			ConsumerRecord<byte[], byte[]> request) {
		byte[] partition = header(request, KafkaHeaders.REPLY_PARTITION);
		return Arrays.equals(record.key(), id.getBytes(StandardCharsets.UTF_8))
				&& (partition == null || ByteBuffer.wrap(partition).getInt() == record.partition()) && Arrays
					.equals(header(record, KafkaHeaders.CORRELATION_ID), header(request, KafkaHeaders.CORRELATION_ID));
	}

	private static byte @Nullable [] header(ConsumerRecord<?, ?> record, String name) {
		Header header = record.headers().lastHeader(name);
		return (header != null) ? header.value() : null;
	}

	private void result(Asked known, ConsumerRecord<byte[], byte[]> request, ConsumerRecord<byte[], byte[]> record,
			TextChunk chunk) {
		String id = chunk.requestId();
		if (chunk.end() == null || chunk.seq() != 0) {
			found(Wrong.MISPLACED, id, "number " + chunk.seq() + " is no result");
			return;
		}
		if (++known.results > 1) {
			found(Wrong.DOUBLED, id, "result " + known.results);
			return;
		}
		Long before = this.offsets.put(List.of(record.partition(), request.partition()), request.offset());
		if (before != null && before > request.offset()) {
			found(Wrong.REORDERED, id, "its result is behind that of a later request");
		}
		this.attempts++;
		known.end = chunk.end();
		known.read.append(chunk.text());
	}

	private void attempted(Asked known, TextChunk chunk) {
		String id = chunk.requestId();
		known.filter.accept(chunk).forEach((each) -> {
			if (each.seq() == 0) {
				known.read.setLength(0);
			}
			known.read.append(each.text());
			known.end = each.end();
		});
		Attempt attempt = known.attempts.computeIfAbsent(chunk.attempt(), (number) -> new Attempt());
		String what = "attempt " + chunk.attempt() + ", number " + chunk.seq();
		if (attempt.seen.get(chunk.seq())) {
			this.repeated++;
			if (chunk.end() != null && attempt.end != null) {
				found(Wrong.DOUBLED, id, what + " ends it again");
			}
			else if (!attempt.texts.get(chunk.seq()).equals(chunk.text())) {
				found(Wrong.CHANGED, id, what + " says something else than before");
			}
			return;
		}
		if (attempt.end != null || chunk.seq() < attempt.seen.length()) {
			found(Wrong.REORDERED, id, what + " comes late");
		}
		while (attempt.texts.size() <= chunk.seq()) {
			attempt.texts.add("");
		}
		attempt.texts.set(chunk.seq(), chunk.text());
		attempt.seen.set(chunk.seq());
		if (chunk.end() != null) {
			attempt.end = chunk.end();
			if (attempt.seen.cardinality() != chunk.end().chunks()) {
				found(Wrong.LOST, id,
						what + " ends it, but only " + attempt.seen.cardinality() + " chunks of it are there");
			}
		}
	}

	/** A record of the dead letters. */
	void letter(ConsumerRecord<byte[], byte[]> record) {
		String id = new String(record.key(), StandardCharsets.UTF_8);
		Asked known = this.asked.get(id);
		if (known == null || known.request == null || !Arrays.equals(record.value(), known.request.value())) {
			found(Wrong.MISPLACED, id, "a dead letter that nobody asked for");
		}
		else {
			known.letters++;
		}
	}

	/** All has been read. */
	Map<Wrong, List<String>> findings() {
		this.asked.forEach(this::finish);
		return this.findings;
	}

	private void finish(String id, Asked known) {
		this.attempts += known.attempts.size();
		this.voidAttempts += (int) known.attempts.values().stream().filter((attempt) -> attempt.end == null).count();
		TextChunk.End end = known.end;
		if (end == null) {
			found(Wrong.LOST, id, (known.request != null) ? "it has no end" : "the request was never sent");
			return;
		}
		String failure = (end.failure() != null) ? " " + end.failure().reason() : "";
		this.ends.merge(end.status() + failure, 1, Integer::sum);
		if (!known.kind.ends.contains(end.status()) && !isGivenUp(end)) {
			found(Wrong.LOST, id, known.kind + " ended with " + end.status() + failure);
		}
		boolean failed = end.status() == TextChunk.Status.FAILED;
		if (failed && known.letters == 0) {
			found(Wrong.LOST, id, "the dead letter is missing");
		}
		if (known.letters > (failed ? 1 : 0) && this.results) {
			found(Wrong.DOUBLED, id, known.letters + " dead letters");
		}
		if (known.client == null) {
			found(Wrong.LOST, id, "its caller was told nothing");
		}
		else if (!failed && !known.client.contentEquals(known.read)) {
			found(Wrong.CHANGED, id, "its caller read another text than is in the topic");
		}
		texts(id, known, end.status());
	}

	private boolean isGivenUp(TextChunk.End end) {
		return this.deliveries && end.failure() != null && end.failure().reason() == FailureReason.TOO_MANY_DELIVERIES;
	}

	private void texts(String id, Asked known, TextChunk.Status status) {
		String expected = known.expected;
		if (expected == null) {
			return;
		}
		String read = known.read.toString();
		boolean same = (status == TextChunk.Status.COMPLETED) ? read.equals(expected)
				: status == TextChunk.Status.FAILED || expected.startsWith(read);
		if (!same) {
			found(Wrong.CHANGED, id, "the text is not that of an undisturbed service");
		}
		known.attempts.forEach((number, attempt) -> {
			if (!expected.startsWith(attempt.text())) {
				found(Wrong.CHANGED, id, "attempt " + number + " is not that of an undisturbed service");
			}
		});
	}

	/** Figures, after the findings. */
	@Override
	public String toString() {
		String wrong = Arrays.stream(Wrong.values())
			.map((each) -> each.name().toLowerCase(java.util.Locale.ROOT) + " "
					+ this.findings.getOrDefault(each, List.of()).size())
			.collect(Collectors.joining(", "));
		return this.asked.size() + " requests, ended " + this.ends + ", " + this.attempts + " attempts, "
				+ this.voidAttempts + " of them void, " + this.records + " records, " + this.repeated + " repeated; "
				+ wrong;
	}

}

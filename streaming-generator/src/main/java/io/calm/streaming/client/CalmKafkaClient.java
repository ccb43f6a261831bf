package io.calm.streaming.client;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;

import io.calm.streaming.CancelRequest;
import io.calm.streaming.MessageHeaders;
import io.calm.streaming.TextChunk;
import io.calm.streaming.TextRequest;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * Asks the service for texts and reads them. A reader gets the chunks of a text in their
 * order, without gaps and duplicates, whatever happens to the service on the way.
 *
 * <p>
 * After a crash the text is generated again, and normally says the same: then the reader
 * notices nothing but a delay. If it does not, the chunks begin anew: one with the number
 * 0 that is not the first voids all before it.
 *
 * <p>
 * It has a producer, and a consumer that reads all chunks of the topic from the moment of
 * the first request on; use one client for many requests. For use from several threads.
 */
public final class CalmKafkaClient implements AutoCloseable {

	private static final Logger LOG = LoggerFactory.getLogger(CalmKafkaClient.class);

	/** Of Spring Kafka's KafkaHeaders, which the client does not need otherwise. */
	private static final String REPLY_TOPIC = "kafka_replyTopic";

	private static final String REPLY_PARTITION = "kafka_replyPartition";

	private static final String CORRELATION = "kafka_correlationId";

	private static final Duration LONGEST_CLOSE = Duration.ofSeconds(10);

	private final ClientOptions options;

	private final Producer<byte[], byte[]> producer;

	private final ChunkReader reader;

	private final Map<String, Pending> pending = new ConcurrentHashMap<>();

	private CalmKafkaClient(ClientOptions options, Producer<byte[], byte[]> producer, Map<String, Object> kafka) {
		this.options = options;
		this.producer = producer;
		String topic = Objects.requireNonNullElse(options.replyTopic(), options.chunks());
		this.reader = new ChunkReader(topic, kafka, this::received, this::lost);
	}

	/** A request that has not ended. */
	private record Pending(FluxSink<TextChunk> sink, ChunkFilter filter, byte[] correlation) {

		/** Whether a record answers this request, and not another one with its id. */
		boolean isAnsweredBy(ConsumerRecord<byte[], byte[]> record) {
			Header header = record.headers().lastHeader(CORRELATION);
			return header != null && Arrays.equals(header.value(), this.correlation);
		}

	}

	/**
	 * A client. It connects with the first request.
	 * @param kafka properties of Kafka's clients, such as {@code bootstrap.servers}
	 * @param options sets what differs from the defaults
	 * @return the client; close it
	 */
	public static CalmKafkaClient create(Map<String, Object> kafka, Consumer<ClientOptions.Builder> options) {
		Map<String, Object> properties = new HashMap<>(kafka);
		// what neither knows may be for a plug-in, such as one for TLS
		properties.keySet()
			.removeIf((name) -> ConsumerConfig.configNames().contains(name)
					&& !ProducerConfig.configNames().contains(name));
		properties.remove(ProducerConfig.TRANSACTIONAL_ID_CONFIG);
		properties.put(ProducerConfig.ACKS_CONFIG, "all");
		properties.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
		return new CalmKafkaClient(ClientOptions.of(options),
				new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer()), kafka);
	}

	/**
	 * Sends a request and streams the text.
	 * @param prompt the beginning of the text; may be empty
	 * @param request sets what differs from the service's defaults
	 * @return the chunks, delivered on a thread that may block; every subscription is a
	 * request of its own, unless it sets an id
	 * @see #stream(TextRequest)
	 */
	public Flux<TextChunk> stream(String prompt, Consumer<TextRequest.Builder> request) {
		return Flux.defer(() -> stream(TextRequest.of(prompt, request)));
	}

	/**
	 * Sends a request and streams the text. The last chunk has an end, which may be that
	 * it was cancelled.
	 * @param request what to generate
	 * @return the chunks, delivered on a thread that may block. A subscription sends the
	 * request, its cancellation ends the generation. Ends with
	 * {@link GenerationFailedException} if the service says that it failed, with
	 * {@link TimeoutException} after the client's timeout, and with a
	 * {@link org.apache.kafka.common.KafkaException} if the brokers cannot be used
	 */
	public Flux<TextChunk> stream(TextRequest request) {
		return Flux.<TextChunk>create((sink) -> begin(request, sink))
			// the one thread that reads is not for the reader's use
			.publishOn(Schedulers.boundedElastic());
	}

	/**
	 * Sends a request and waits for each chunk. For a loop that may be left early, use
	 * {@code stream(request).toStream()} and close it: what nobody reads is generated to
	 * its end otherwise, or until {@link #cancel}.
	 * @param request what to generate
	 * @return the chunks, for one loop; it throws what {@link #stream(TextRequest)} ends
	 * with, the checked {@link TimeoutException} as the cause of another one
	 */
	public Iterable<TextChunk> chunks(TextRequest request) {
		return stream(request).toIterable();
	}

	/**
	 * Sends a request and waits for its whole text.
	 * @param prompt the beginning of the text; may be empty
	 * @param request sets what differs from the service's defaults
	 * @return the text, without the prompt
	 */
	public String text(String prompt, Consumer<TextRequest.Builder> request) {
		StringBuilder text = new StringBuilder();
		for (TextChunk chunk : chunks(TextRequest.of(prompt, request))) {
			if (chunk.seq() == 0) {
				text.setLength(0);
			}
			text.append(chunk.text());
		}
		return text.toString();
	}

	/**
	 * Ends a generation, whoever asked for it. Its reader gets a last chunk that says so.
	 * Does nothing after the end.
	 * @param requestId names the request
	 */
	public void cancel(String requestId) {
		send(new ProducerRecord<>(this.options.control(), key(requestId),
				this.options.format().write(new CancelRequest(requestId))), (failure) -> {
					LOG.warn("A cancellation could not be sent: {}", failure.toString());
				});
	}

	private void begin(TextRequest request, FluxSink<TextChunk> sink) {
		Pending begun = new Pending(sink, new ChunkFilter(),
				UUID.randomUUID().toString().getBytes(StandardCharsets.US_ASCII));
		if (this.pending.putIfAbsent(request.id(), begun) != null) {
			sink.error(new IllegalStateException("A request with the id " + request.id() + " has not ended yet"));
			return;
		}
		Duration timeout = this.options.timeout();
		Disposable expiry = Schedulers.parallel()
			.schedule(() -> sink.error(new TimeoutException(
					"The text of request " + request.id() + " has not ended in " + timeout + "; it is cancelled")),
					timeout.toMillis(), TimeUnit.MILLISECONDS);
		Disposable sending = Mono.fromFuture(this.reader.ready(), true)
			.publishOn(Schedulers.boundedElastic())
			.subscribe((partitions) -> send(record(request, begun, partitions), sink::error), sink::error);
		sink.onDispose(() -> {
			expiry.dispose();
			sending.dispose();
			if (this.pending.remove(request.id(), begun) && !begun.filter().ended()) {
				Schedulers.boundedElastic().schedule(() -> cancel(request.id()));
			}
		});
	}

	private ProducerRecord<byte[], byte[]> record(TextRequest request, Pending begun, List<TopicPartition> partitions) {
		ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(this.options.requests(), key(request.id()),
				this.options.format().write(request));
		record.headers().add(CORRELATION, begun.correlation());
		if (this.options.replyTopic() != null) {
			record.headers().add(REPLY_TOPIC, this.options.replyTopic().getBytes(StandardCharsets.UTF_8));
		}
		// a partition that is read here: the topic may have got new ones since
		TopicPartition reply = partitions.get(Math.floorMod(request.id().hashCode(), partitions.size()));
		record.headers().add(REPLY_PARTITION, ByteBuffer.allocate(Integer.BYTES).putInt(reply.partition()).array());
		if (request.deadline() != null) {
			record.headers()
				.add(MessageHeaders.DEADLINE,
						Long.toString(request.deadline().toEpochMilli()).getBytes(StandardCharsets.US_ASCII));
		}
		return record;
	}

	private void send(ProducerRecord<byte[], byte[]> record, Consumer<Throwable> onFailure) {
		try {
			this.producer.send(record, (metadata, failure) -> {
				if (failure != null) {
					onFailure.accept(failure);
				}
			});
		}
		catch (RuntimeException ex) {
			onFailure.accept(ex);
		}
	}

	private static byte[] key(String requestId) {
		return requestId.getBytes(StandardCharsets.UTF_8);
	}

	/** On the reader's thread. */
	private void received(ConsumerRecord<byte[], byte[]> record) {
		Pending request = this.pending.get(new String(record.key(), StandardCharsets.UTF_8));
		if (request == null) {
			return;
		}
		try {
			TextChunk read = this.options.format().readChunk(record.value());
			if (ChunkFilter.isOfAnother(read) && request.isAnsweredBy(record)) {
				// without a cancellation, which would end the other one
				this.pending.remove(read.requestId(), request);
				deliver(request, read);
			}
			else {
				request.filter().accept(read).forEach((chunk) -> deliver(request, chunk));
			}
		}
		catch (RuntimeException ex) {
			request.sink().error(ex);
		}
	}

	private static void deliver(Pending request, TextChunk chunk) {
		TextChunk.End end = chunk.end();
		if (end != null && end.failure() != null) {
			request.sink().error(new GenerationFailedException(end.failure()));
			return;
		}
		request.sink().next(chunk);
		if (end != null) {
			request.sink().complete();
		}
	}

	/** The reader cannot go on. */
	private void lost(Throwable failure) {
		this.pending.values().forEach((request) -> request.sink().error(failure));
	}

	/** Ends what has not ended, with a {@link CancellationException}. */
	@Override
	public void close() {
		List<Map.Entry<String, Pending>> open = List.copyOf(this.pending.entrySet());
		CompletableFuture<Void> cancelled = CompletableFuture
			.runAsync(
					() -> open.stream()
						.filter((each) -> this.pending.remove(each.getKey(), each.getValue()))
						.forEach((each) -> cancel(each.getKey())),
					(task) -> Schedulers.boundedElastic().schedule(task));
		// sent before the producer is closed, unless the brokers are away
		cancelled.completeOnTimeout(null, LONGEST_CLOSE.toMillis(), TimeUnit.MILLISECONDS).join();
		open.forEach((each) -> each.getValue().sink().error(new CancellationException("The client is closed")));
		this.reader.close();
		this.producer.close(LONGEST_CLOSE);
	}

}

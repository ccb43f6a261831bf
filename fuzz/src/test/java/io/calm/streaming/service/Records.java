package io.calm.streaming.service;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

import io.calm.fuzz.Mutator;
import io.calm.fuzz.Target;
import io.calm.generation.Chunk;
import io.calm.generation.FinishReason;
import io.calm.generation.GenerationRequest;
import io.calm.spring.TextGenerator;
import io.calm.streaming.FailureReason;
import io.calm.streaming.JsonMessageFormat;
import io.calm.streaming.MessageHeaders;
import io.calm.streaming.TextChunk;
import io.calm.text.Tokenizer;
import io.micrometer.observation.ObservationRegistry;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;

import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.MapConfigurationPropertySource;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.support.KafkaHeaders;

/**
 * Takes up requests and cancellations. Each request ends soon, with chunks that can be
 * read, and never for a reason that is the service's own.
 */
public final class Records implements Target {

	private static final byte[] REQUEST = """
			{"version":1,"prompt":"One day","maxNewTokens":120,"temperature":0.5,"candidates":200,"exact":false,
			 "seed":7,"stop":["\\n\\n","."]}""".getBytes(StandardCharsets.UTF_8);

	private static final byte[] CANCELLATION = "{\"version\":1,\"requestId\":\"a\"}".getBytes(StandardCharsets.UTF_8);

	private static final List<String> HEADERS = List.of(MessageHeaders.DEADLINE, MessageHeaders.DEADLINE,
			KafkaHeaders.REPLY_TOPIC, KafkaHeaders.REPLY_PARTITION, KafkaHeaders.CORRELATION_ID, "traceparent",
			"tracestate", "baggage", "b3", MessageHeaders.REASON, "content-type", "ce_specversion", "ce_id",
			"ce_source", "ce_type", "ce_correlationid", "x");

	private final JsonMessageFormat format = new JsonMessageFormat();

	private final Generations generations;

	private final ControlListener control;

	/** One that says the same of everything. */
	private record Speaker(Tokenizer tokenizer) implements TextGenerator {

		@Override
		public Flux<Chunk> stream(String prompt, Consumer<GenerationRequest.Builder> options) {
			return Flux.defer(() -> {
				GenerationRequest.of(prompt, options);
				return Flux.just(new Chunk(0, new int[] { 5 }, " a", null),
						new Chunk(1, new int[] { 6 }, " b", FinishReason.LENGTH));
			});
		}

		@Override
		public int countTokens(String text) {
			return this.tokenizer.encode(text).length;
		}

	}

	/** Takes everything and keeps nothing. */
	private static final class Brokers extends MockProducer<byte[], byte[]> {

		Brokers() {
			super(true, null, new ByteArraySerializer(), new ByteArraySerializer());
		}

		@Override
		public void close(Duration timeout) {
			clear();
		}

	}

	/**
	 * A service without brokers.
	 * @param tokenizer of its model
	 */
	public Records(Path tokenizer) {
		Binder binder = new Binder(new MapConfigurationPropertySource(Map.of("calm.streaming.reply-topics", "mine",
				"calm.streaming.cloud-events", "true", "calm.streaming.limits.deadline", "1h")));
		StreamingProperties properties = binder.bindOrCreate("calm.streaming", StreamingProperties.class);
		TextGenerator generator = new Speaker(Tokenizer.load(tokenizer));
		Clock clock = Clock.systemUTC();
		Outgoing outgoing = new Outgoing(
				new KafkaTemplate<>(new org.springframework.kafka.core.ProducerFactory<byte[], byte[]>() {

					@Override
					public Producer<byte[], byte[]> createProducer() {
						return new Brokers();
					}

				}), this.format, properties);
		this.generations = new Generations(generator, new Admission(this.format, generator, properties, 0, clock),
				outgoing, properties, ObservationRegistry.NOOP, null, clock, () -> true);
		this.control = new ControlListener(new DefaultKafkaConsumerFactory<>(Map.of()), this.format, this.generations,
				properties, clock);
	}

	@Override
	public boolean run(Mutator mutator, Path directory) throws IOException {
		if (mutator.percent(20)) {
			this.control.onMessage(record(mutator, CANCELLATION));
			return true;
		}
		ConsumerRecord<byte[], byte[]> record = record(mutator, REQUEST);
		TextChunk.End end;
		try {
			List<ProducerRecord<byte[], byte[]>> told = this.generations.begin(record, 1, mutator.percent(50))
				.conclusion()
				.get(30, TimeUnit.SECONDS);
			end = this.format.readChunk(told.get(0).value()).end();
		}
		catch (Exception ex) {
			throw new IllegalStateException("does not end as it should: " + ex, ex);
		}
		if (end == null) {
			throw new IllegalStateException("has no end");
		}
		awaitNothingInFlight();
		FailureReason reason = Optional.ofNullable(end.failure()).map(TextChunk.Failure::reason).orElse(null);
		if (reason == FailureReason.MODEL_FAILED || reason == FailureReason.NOT_DELIVERED) {
			throw new IllegalStateException("counts as the service's own fault: " + reason);
		}
		return reason == null;
	}

	/** It is forgotten by whoever is told of its end, at the same time as we are. */
	private void awaitNothingInFlight() {
		long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
		while (!this.generations.inFlight().isEmpty()) {
			if (System.nanoTime() > deadline) {
				throw new IllegalStateException("is in flight for ever");
			}
			Thread.onSpinWait();
		}
	}

	private static ConsumerRecord<byte[], byte[]> record(Mutator mutator, byte[] value) {
		Headers headers = new RecordHeaders();
		for (int i = mutator.percent(60) ? 0 : 1 + mutator.number(4); i > 0; i--) {
			headers.add(mutator.percent(90) ? mutator.pick(HEADERS) : mutator.text(), header(mutator));
		}
		byte[] content = mutator.percent(80) ? mutator.json(value) : value;
		return new ConsumerRecord<>("requests", mutator.number(3), 7, mutator.number(10) * 200_000_000_000L,
				TimestampType.CREATE_TIME, 0, 0, key(mutator), mutator.percent(98) ? content : null, headers,
				Optional.empty());
	}

	private static byte @Nullable [] key(Mutator mutator) {
		byte[] key = (mutator.percent(80) ? "a" : mutator.text()).getBytes(StandardCharsets.UTF_8);
		return mutator.percent(2) ? null : mutator.percent(90) ? key : mutator.blind(key);
	}

	private static byte @Nullable [] header(Mutator mutator) {
		return switch (mutator.number(6)) {
			case 0 -> null;
			case 1 -> mutator.numeral().getBytes(StandardCharsets.UTF_8);
			case 2 -> ByteBuffer.allocate(Integer.BYTES).putInt(mutator.number(9) - 4).array();
			case 3 -> "mine".getBytes(StandardCharsets.UTF_8);
			case 4 -> mutator
				.blind("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".getBytes(StandardCharsets.UTF_8));
			default -> mutator.text().getBytes(StandardCharsets.UTF_8);
		};
	}

}

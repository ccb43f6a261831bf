package io.calm.streaming.app;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.IntStream;

import io.calm.generation.GenerationEngine;
import io.calm.generation.GenerationStream;
import io.calm.streaming.TextChunk;
import io.calm.streaming.TinyModel;
import io.calm.streaming.client.CalmKafkaClient;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * How much slower it is to ask a service than to ask the engine. Figures are logged, not
 * asserted: run it alone on the machine, with a model of some size in
 * {@code -Dcalm.test.model}.
 */
@EnabledIfSystemProperty(named = "calm.long", matches = "true")
class ThroughputTests {

	private static final Logger LOG = LoggerFactory.getLogger(ThroughputTests.class);

	private static final int REQUESTS = 200;

	private static final int TOKENS = 120;

	private static final int CANDIDATES = 50;

	private static final Path MODEL = Path.of(System.getProperty("calm.test.model", TinyModel.directory().toString()));

	@TempDir
	private Path temporary = Path.of("");

	@Test
	void bareEngineAndService() {
		double[] rates = new double[6];
		for (int i = 0; i < rates.length; i += 2) {
			rates[i] = engine();
			rates[i + 1] = services("one-" + i, 1);
		}
		LOG.info("tokens/s, engine and service alternately: {}", Arrays.toString(rates));
		LOG.info("tokens/s of two services: {}", services("two", 2));
	}

	private static double engine() {
		try (GenerationEngine engine = GenerationEngine.open(MODEL, (options) -> options.queue(REQUESTS))) {
			text(engine, 0);
			long begun = System.nanoTime();
			List<GenerationStream> streams = IntStream.range(0, REQUESTS).mapToObj((i) -> submit(engine, i)).toList();
			long tokens = streams.parallelStream()
				.mapToLong((stream) -> stream.stream().mapToLong((chunk) -> chunk.tokens().length).sum())
				.sum();
			return tokens / seconds(begun);
		}
	}

	private static void text(GenerationEngine engine, int seed) {
		assertThat(submit(engine, seed).text()).isNotNull();
	}

	private static GenerationStream submit(GenerationEngine engine, int seed) {
		return engine.generate("One fish",
				(request) -> request.maxNewTokens(TOKENS).candidates(CANDIDATES).temperature(0.5).seed(seed));
	}

	private double services(String prefix, int count) {
		Path directory = this.temporary.resolve(prefix);
		assertThat(directory.toFile().mkdirs()).isTrue();
		try (BrokerProcess broker = BrokerProcess.start(directory)) {
			broker.createTopics(prefix, 6);
			List<JavaProcess> services = IntStream.range(0, count)
				.mapToObj((i) -> JavaProcess.start(directory.resolve("service-" + i + ".txt"),
						StreamingGenerator.class.getName(), "--spring.main.web-application-type=none",
						"--spring.main.keep-alive=true", "--spring.kafka.bootstrap-servers=" + broker.address(),
						"--calm.model.location=" + MODEL, "--calm.streaming.topics.requests=" + prefix + ".requests",
						"--calm.streaming.topics.chunks=" + prefix + ".chunks",
						"--calm.streaming.topics.control=" + prefix + ".control",
						"--calm.streaming.topics.dead-letters=" + prefix + ".dead-letters",
						"--calm.streaming.topics.partitions=6"))
				.toList();
			services.forEach((each) -> each.awaitOutput("Takes requests up from [" + prefix));
			try (CalmKafkaClient client = CalmKafkaClient.create(Map.of("bootstrap.servers", broker.address()),
					(options) -> options.requests(prefix + ".requests")
						.chunks(prefix + ".chunks")
						.control(prefix + ".control")
						.timeout(Duration.ofMinutes(5)))) {
				return measure(client, prefix);
			}
			finally {
				services.forEach(JavaProcess::close);
			}
		}
	}

	private static double measure(CalmKafkaClient client, String name) {
		// both partitions of work are warm after these
		IntStream.range(0, 20)
			.mapToObj((i) -> ask(client, "warm" + i, new ConcurrentLinkedQueue<>(), new ConcurrentLinkedQueue<>()))
			.toList()
			.forEach(CompletableFuture::join);
		ConcurrentLinkedQueue<Double> first = new ConcurrentLinkedQueue<>();
		ConcurrentLinkedQueue<Double> between = new ConcurrentLinkedQueue<>();
		long begun = System.nanoTime();
		List<CompletableFuture<List<TextChunk>>> answers = IntStream.range(0, REQUESTS)
			.mapToObj((i) -> ask(client, "r" + i, first, between))
			.toList();
		long tokens = answers.stream()
			.mapToLong((answer) -> answer.join().stream().mapToLong(TextChunk::tokens).sum())
			.sum();
		double rate = tokens / seconds(begun);
		for (CompletableFuture<List<TextChunk>> answer : answers) {
			List<Integer> numbers = answer.join().stream().map(TextChunk::seq).toList();
			assertThat(numbers).isEqualTo(IntStream.range(0, numbers.size()).boxed().toList());
		}
		// alone: what a reader waits for when nobody else asks
		ConcurrentLinkedQueue<Double> firstAlone = new ConcurrentLinkedQueue<>();
		ConcurrentLinkedQueue<Double> betweenAlone = new ConcurrentLinkedQueue<>();
		for (int i = 0; i < 30; i++) {
			ask(client, "alone" + i, firstAlone, betweenAlone).join();
		}
		LOG.info(
				"{}: {} tokens/s; to the first chunk p50 {} ms, p95 {} ms; between chunks p50 {} ms, p95 {} ms;"
						+ " alone: first p50 {} ms, p95 {} ms, between p50 {} ms, p95 {} ms",
				name, rate, quantile(first, 0.5), quantile(first, 0.95), quantile(between, 0.5),
				quantile(between, 0.95), quantile(firstAlone, 0.5), quantile(firstAlone, 0.95),
				quantile(betweenAlone, 0.5), quantile(betweenAlone, 0.95));
		return rate;
	}

	private static CompletableFuture<List<TextChunk>> ask(CalmKafkaClient client, String id,
			ConcurrentLinkedQueue<Double> first, ConcurrentLinkedQueue<Double> between) {
		long[] latest = { System.nanoTime() };
		return client
			.stream("One fish",
					(request) -> request.id(id).maxNewTokens(TOKENS).candidates(CANDIDATES).temperature(0.5))
			.doOnNext((chunk) -> {
				long now = System.nanoTime();
				((chunk.seq() == 0) ? first : between).add((now - latest[0]) / 1e6);
				latest[0] = now;
			})
			.collectList()
			.toFuture();
	}

	private static double quantile(ConcurrentLinkedQueue<Double> times, double share) {
		List<Double> sorted = new ArrayList<>(times);
		sorted.sort(null);
		return sorted.get((int) (share * (sorted.size() - 1)));
	}

	private static double seconds(long begun) {
		return (System.nanoTime() - begun) / 1e9;
	}

}

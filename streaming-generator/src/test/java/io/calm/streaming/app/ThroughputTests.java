package io.calm.streaming.app;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Queue;
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

	private static final int REQUESTS = 100;

	private static final int ROUNDS = 5;

	private static final int TOKENS = 60;

	/** Requests one after the other: what a reader waits for when nobody else asks. */
	private static final int ALONE = 30;

	private static final Path MODEL = Path.of(System.getProperty("calm.test.model", TinyModel.directory().toString()));

	@TempDir
	private Path temporary = Path.of("");

	/**
	 * The engine of this process and a service, in turns: each waits while the other
	 * works.
	 */
	@Test
	void bareEngineAndService() {
		try (BrokerProcess broker = BrokerProcess.start(this.temporary)) {
			broker.createTopics("calm", 6);
			try (JavaProcess one = service(broker, "one"); CalmKafkaClient client = client(broker)) {
				one.awaitOutput("Takes requests up from [calm");
				try (GenerationEngine engine = engine(1)) {
					inTurns(engine, client, "one");
					alone(engine, client);
				}
				try (JavaProcess two = service(broker, "two"); GenerationEngine engine = engine(2)) {
					two.awaitOutput("Takes requests up from [calm");
					inTurns(engine, client, "two");
				}
			}
		}
	}

	/** With as many slots as some services have. */
	private static GenerationEngine engine(int services) {
		return GenerationEngine.open(MODEL, (options) -> options.slots(4 * services).queue(REQUESTS));
	}

	private static void inTurns(GenerationEngine engine, CalmKafkaClient client, String services) {
		// what runs for the first time runs slowly, in every process
		engine(engine);
		service(client, "warm-" + services, REQUESTS);
		List<Double> shares = new ArrayList<>();
		for (int i = 0; i < ROUNDS; i++) {
			double alone = engine(engine);
			shares.add(service(client, services + "-" + i, REQUESTS) / alone);
		}
		shares.sort(null);
		LOG.info("share of the engine's tokens/s, services: {}: median {} of {}", services, shares.get(ROUNDS / 2),
				shares);
	}

	private JavaProcess service(BrokerProcess broker, String name) {
		return JavaProcess.start(this.temporary.resolve(name + ".txt"), StreamingGenerator.class.getName(),
				"--spring.main.web-application-type=none", "--spring.main.keep-alive=true",
				"--spring.kafka.bootstrap-servers=" + broker.address(), "--calm.model.location=" + MODEL);
	}

	private static CalmKafkaClient client(BrokerProcess broker) {
		return CalmKafkaClient.create(broker.connection(), (options) -> options.timeout(Duration.ofMinutes(5)));
	}

	private static double engine(GenerationEngine engine) {
		long begun = System.nanoTime();
		List<GenerationStream> streams = IntStream.range(0, REQUESTS).mapToObj((i) -> submit(engine, i)).toList();
		long tokens = streams.parallelStream()
			.mapToLong((stream) -> stream.stream().mapToLong((chunk) -> chunk.tokens().length).sum())
			.sum();
		double rate = tokens / seconds(begun);
		LOG.info("engine: {} tokens/s", rate);
		return rate;
	}

	private static GenerationStream submit(GenerationEngine engine, int seed) {
		return engine.generate("One fish", (request) -> request.maxNewTokens(TOKENS).temperature(0.5).seed(seed));
	}

	private static double service(CalmKafkaClient client, String name, int requests) {
		Times times = new Times();
		long begun = System.nanoTime();
		List<CompletableFuture<List<TextChunk>>> answers = IntStream.range(0, requests)
			.mapToObj((i) -> ask(client, name + i, times))
			.toList();
		long tokens = answers.stream()
			.mapToLong((answer) -> answer.join().stream().mapToLong(TextChunk::tokens).sum())
			.sum();
		double rate = tokens / seconds(begun);
		for (CompletableFuture<List<TextChunk>> answer : answers) {
			List<Integer> numbers = answer.join().stream().map(TextChunk::seq).toList();
			assertThat(numbers).isEqualTo(IntStream.range(0, numbers.size()).boxed().toList());
		}
		LOG.info("{}: {} requests, {} tokens/s; {}", name, requests, rate, times);
		return rate;
	}

	/** What a reader waits for when nobody else asks. */
	private static void alone(GenerationEngine engine, CalmKafkaClient client) {
		Times ofEngine = new Times();
		Times ofService = new Times();
		for (int i = 0; i < ALONE; i++) {
			Times.Reader reader = ofEngine.reader();
			submit(engine, i).forEach((chunk) -> reader.chunk());
			ask(client, "alone" + i, ofService).join();
		}
		LOG.info("one request at a time, engine: {}", ofEngine);
		LOG.info("one request at a time, service: {}", ofService);
	}

	private static CompletableFuture<List<TextChunk>> ask(CalmKafkaClient client, String id, Times times) {
		Times.Reader reader = times.reader();
		return client.stream("One fish", (request) -> request.id(id).maxNewTokens(TOKENS).temperature(0.5))
			.doOnNext((chunk) -> reader.chunk())
			.collectList()
			.toFuture();
	}

	/** How long readers waited for chunks, in milliseconds. */
	private static final class Times {

		private final Queue<Double> first = new ConcurrentLinkedQueue<>();

		private final Queue<Double> between = new ConcurrentLinkedQueue<>();

		/** Of one text, which is asked for now. */
		private final class Reader {

			private long latest = System.nanoTime();

			private boolean begun;

			void chunk() {
				long now = System.nanoTime();
				(this.begun ? Times.this.between : Times.this.first).add((now - this.latest) / 1e6);
				this.begun = true;
				this.latest = now;
			}

		}

		Reader reader() {
			return new Reader();
		}

		@Override
		public String toString() {
			return String.format(Locale.ROOT,
					"to the first chunk p50 %.1f ms, p95 %.1f ms, between chunks p50 %.2f ms," + " p95 %.2f ms",
					quantile(this.first, 0.5), quantile(this.first, 0.95), quantile(this.between, 0.5),
					quantile(this.between, 0.95));
		}

		private static double quantile(Queue<Double> times, double share) {
			List<Double> sorted = new ArrayList<>(times);
			sorted.sort(null);
			return sorted.get((int) (share * (sorted.size() - 1)));
		}

	}

	private static double seconds(long begun) {
		return (System.nanoTime() - begun) / 1e9;
	}

}

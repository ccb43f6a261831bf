package io.calm.streaming.app;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

import io.calm.streaming.JsonMessageFormat;
import io.calm.streaming.TextChunk;
import io.calm.streaming.TinyModel;
import io.calm.streaming.TopicLog;
import io.calm.streaming.client.CalmKafkaClient;
import io.calm.streaming.client.ChunkFilter;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * Broker and services in processes of their own, which are killed. With
 * {@code -Dcalm.long=true} all of it, and its figures are logged; otherwise what takes
 * seconds.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ProcessesTests {

	private static final Logger LOG = LoggerFactory.getLogger(ProcessesTests.class);

	private static final JsonMessageFormat FORMAT = new JsonMessageFormat();

	private static final boolean LONG = Boolean.getBoolean("calm.long");

	private static final int TOKENS = 400;

	private Path temporary = notYetStarted();

	private BrokerProcess broker = notYetStarted();

	private int services;

	@SuppressWarnings({ "NullAway", "TypeParameterUnusedInFormals" })
	private static <T> T notYetStarted() {
		return null;
	}

	/** A field would be set before the first test, which is after this. */
	@BeforeAll
	void start(@TempDir Path temporary) {
		this.temporary = temporary;
		this.broker = BrokerProcess.start(this.temporary);
	}

	@AfterAll
	void stop() {
		this.broker.close();
	}

	private JavaProcess service(String prefix, String... properties) {
		int number = this.services++;
		List<String> arguments = new ArrayList<>(
				List.of("--spring.main.web-application-type=none", "--spring.main.keep-alive=true",
						"--spring.main.banner-mode=off", "--spring.kafka.bootstrap-servers=" + this.broker.address(),
						"--calm.model.location="
								+ System.getProperty("calm.test.model", TinyModel.directory().toString()),
						"--calm.streaming.group=" + prefix, "--calm.streaming.topics.requests=" + prefix + ".requests",
						"--calm.streaming.topics.chunks=" + prefix + ".chunks",
						"--calm.streaming.topics.control=" + prefix + ".control",
						"--calm.streaming.topics.dead-letters=" + prefix + ".dead-letters",
						"--calm.streaming.topics.partitions=6", "--calm.generation.candidates=10",
						"--spring.kafka.consumer.properties.session.timeout.ms=6000",
						"--spring.kafka.consumer.properties.heartbeat.interval.ms=500"));
		arguments.addAll(Arrays.asList(properties));
		return JavaProcess.start(this.temporary.resolve("service-" + number + ".txt"),
				StreamingGenerator.class.getName(), arguments.toArray(String[]::new));
	}

	private CalmKafkaClient client(String prefix) {
		return CalmKafkaClient.create(
				Map.of("bootstrap.servers", this.broker.address(), "delivery.timeout.ms", 240_000, "retry.backoff.ms",
						200),
				(options) -> options.requests(prefix + ".requests")
					.chunks(prefix + ".chunks")
					.control(prefix + ".control")
					.timeout(Duration.ofMinutes(4)));
	}

	private static List<CompletableFuture<List<TextChunk>>> ask(CalmKafkaClient client, int from, int to) {
		return IntStream.range(from, to)
			.mapToObj((i) -> client.stream("One fish", (request) -> request.id("r" + i).maxNewTokens(TOKENS))
				.collectList()
				.toFuture())
			.toList();
	}

	private static void assertWhole(List<TextChunk> chunks) {
		int next = 0;
		for (TextChunk chunk : chunks) {
			assertThat(chunk.seq()).isIn(next, 0);
			next = chunk.seq() + 1;
		}
		TextChunk.End end = Objects.requireNonNull(chunks.get(chunks.size() - 1).end());
		assertThat(end.status()).isEqualTo(TextChunk.Status.COMPLETED);
		assertThat(end.chunks()).isEqualTo(next);
	}

	/**
	 * What is in the topic: every request ended, and how many records its reader did not
	 * need.
	 */
	private int assertAllEnded(String prefix, int requests) {
		try (TopicLog log = new TopicLog(this.broker.address(), prefix + ".chunks")) {
			Map<String, ChunkFilter> filters = new LinkedHashMap<>();
			int[] needed = { 0 };
			int[] seen = { 0 };
			Set<List<Object>> ends = new HashSet<>();
			int records = log.read((all) -> {
				all.subList(seen[0], all.size()).forEach((record) -> {
					TextChunk chunk = FORMAT.readChunk(record.value());
					if (chunk.end() != null) {
						assertThat(ends.add(List.of(chunk.requestId(), chunk.attempt())))
							.as("the first end of attempt %s at %s", chunk.attempt(), chunk.requestId())
							.isTrue();
					}
					needed[0] += filters.computeIfAbsent(chunk.requestId(), (id) -> new ChunkFilter())
						.accept(chunk)
						.size();
				});
				seen[0] = all.size();
				return filters.size() == requests && filters.values().stream().allMatch(ChunkFilter::ended);
			}).size();
			return records - needed[0];
		}
	}

	@Test
	void killedServiceLosesNothing() {
		killServices("kills", LONG ? 10 : 1, LONG ? 30 : 20, "stream");
	}

	@Test
	@EnabledIfSystemProperty(named = "calm.long", matches = "true")
	void resultsAreExactlyOnceOverKills() {
		int requests = killServices("results", 10, 30, "results");
		assertOnce("results", requests);
	}

	private void assertOnce(String prefix, int requests) {
		try (TopicLog log = new TopicLog(this.broker.address(), prefix + ".chunks")) {
			List<String> ids = log.read((all) -> all.size() >= requests)
				.stream()
				.map((record) -> FORMAT.readChunk(record.value()).requestId())
				.toList();
			LOG.info("{}: {} requests, {} results, {} of them different", prefix, requests, ids.size(),
					ids.stream().distinct().count());
			assertThat(ids).doesNotHaveDuplicates().hasSize(requests);
		}
	}

	private int killServices(String prefix, int kills, int requestsPerKill, String mode) {
		this.broker.createTopics(prefix, 6);
		String property = "--calm.streaming.mode=" + mode;
		JavaProcess stays = service(prefix, property);
		int asked = 0;
		try (CalmKafkaClient client = client(prefix)) {
			for (int kill = 0; kill < kills; kill++) {
				try (JavaProcess victim = service(prefix, property)) {
					stays.awaitOutput("Takes requests up from");
					victim.awaitOutput("Takes requests up from [" + prefix);
					List<CompletableFuture<List<TextChunk>>> answers = ask(client, asked, asked + requestsPerKill);
					asked += requestsPerKill;
					// in the middle: some have ended, most have not
					await().atMost(Duration.ofMinutes(2))
						.pollInterval(Duration.ofMillis(20))
						.until(() -> answers.stream().filter(CompletableFuture::isDone).count() >= requestsPerKill / 4);
					long open = answers.stream().filter((each) -> !each.isDone()).count();
					victim.kill();
					LOG.info("{}: killed a service with {} of {} requests open", prefix, open, requestsPerKill);
					answers.forEach((answer) -> assertWhole(answer.join()));
				}
			}
		}
		finally {
			stays.stop();
		}
		int repeated = assertAllEnded(prefix, asked);
		LOG.info("{}: {} requests over {} kills, every text whole, {} records were repeated", prefix, asked, kills,
				repeated);
		return asked;
	}

	@ParameterizedTest
	@ValueSource(strings = { "stream", "results", "share-group" })
	void brokerMayGoAwayAndComeBack(String mode) {
		String prefix = "away-" + mode;
		this.broker.createTopics(prefix, 6);
		try (JavaProcess service = service(prefix, "--calm.streaming.mode=" + mode);
				CalmKafkaClient client = client(prefix)) {
			service.awaitOutput(
					mode.equals("share-group") ? "Started StreamingGenerator" : "Takes requests up from [" + prefix);
			int requests = LONG ? 100 : 20;
			List<CompletableFuture<List<TextChunk>>> answers = ask(client, 0, requests);
			await().atMost(Duration.ofMinutes(2))
				.pollInterval(Duration.ofMillis(20))
				.until(() -> answers.stream().anyMatch(CompletableFuture::isDone));
			this.broker.kill();
			long gone = System.nanoTime();
			Duration away = Duration.ofSeconds(LONG ? 20 : 3);
			await().atMost(Duration.ofMinutes(1)).until(() -> System.nanoTime() - gone > away.toNanos());
			long open = answers.stream().filter((each) -> !each.isDone()).count();
			this.broker.startAgain();
			answers.forEach((answer) -> assertWhole(answer.join()));
			LOG.info(
					"{}: the broker was away for {}, with {} of {} requests open: every text whole, {} records were repeated",
					mode, away, open, requests, assertAllEnded(prefix, requests));
			if (mode.equals("results")) {
				assertOnce(prefix, requests);
			}
			service.stop();
		}
	}

}

package io.calm.streaming.app;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import io.calm.streaming.TextChunk;
import io.calm.streaming.TextRequest;
import io.calm.streaming.TinyModel;
import io.calm.streaming.client.CalmKafkaClient;
import io.calm.streaming.client.GenerationFailedException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.awaitility.core.ConditionTimeoutException;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * Services and their broker are killed, stopped and starved of disk at random, while
 * requests go on. In the end a {@link Ledger} says whether each mode has kept its
 * promise. {@code -Dcalm.chaos.minutes} is how long each test makes trouble, and
 * {@code -Dcalm.chaos.seed}, which is logged, what is done to whom, in which order and
 * with which pauses.
 */
@Tag("chaos")
class ChaosTests {

	private static final Logger LOG = LoggerFactory.getLogger(ChaosTests.class);

	private static final double MINUTES = Double.parseDouble(System.getProperty("calm.chaos.minutes", "5"));

	private static final long SEED = Long.getLong("calm.chaos.seed", System.nanoTime());

	/** From the last fault to the last answer. */
	private static final Duration PATIENCE = Duration.ofMinutes(15);

	/** Without a model, more happens on a machine that is slow. */
	private static final boolean SCRIPTED = Boolean.getBoolean("calm.chaos.scripted");

	private static final int PARTITIONS = 4;

	private static final int SERVICES = 2;

	/** Requests without an end, of a mode. */
	private static final int OPEN = 16;

	private static final List<String> PROMPTS = List.of("One fish", "Two fish. Red", "", "Blue");

	private final Path temporary;

	/** Nobody makes trouble any more. */
	private final CountDownLatch over = new CountDownLatch(1);

	private final ConcurrentHashMap<String, Integer> faults = new ConcurrentHashMap<>();

	/** What nobody has done. */
	private final ConcurrentLinkedQueue<String> deaths = new ConcurrentLinkedQueue<>();

	private final AtomicInteger processes = new AtomicInteger();

	ChaosTests(@TempDir Path temporary) {
		this.temporary = temporary;
	}

	@ParameterizedTest
	@ValueSource(strings = { "stream", "results", "share-group" })
	void oneMode(String mode) throws InterruptedException {
		run(List.of(mode));
	}

	@Test
	void allModes() throws InterruptedException {
		run(List.of("stream", "results", "share-group"));
	}

	private void run(List<String> modes) throws InterruptedException {
		LOG.info("{} for {} minutes, -Dcalm.chaos.seed={}", modes, MINUTES, SEED);
		try (BrokerProcess broker = BrokerProcess.start(this.temporary, "PLAINTEXT", """
				group.share.min.record.lock.duration.ms=1000
				group.share.record.lock.duration.ms=10000
				""", Map.of())) {
			List<Side> sides = modes.stream().map((mode) -> new Side(broker, mode)).toList();
			List<Thread> busy = new ArrayList<>();
			try {
				sides.forEach(Side::startServices);
				sides.forEach(Side::awaitServices);
				LOG.info("All services have started");
				sides.forEach((side) -> busy.addAll(side.start()));
				busy.add(inBackground("broker", () -> tormentBroker(broker)));
				this.over.await((long) (MINUTES * 60_000), TimeUnit.MILLISECONDS);
				this.over.countDown();
				for (Thread each : busy) {
					each.join();
				}
				LOG.info("The last fault was at {}; faults: {}", Instant.now(), this.faults);
				sides.forEach(Side::awaitAnswers);
			}
			finally {
				this.over.countDown();
				sides.forEach(Side::close);
			}
			sides.forEach(Side::readTopics);
			askUndisturbed(broker, sides);
			assertAll(sides);
		}
	}

	/** The same requests once more, of a service that is left in peace. */
	private void askUndisturbed(BrokerProcess broker, List<Side> sides) {
		broker.createTopics("undisturbed", PARTITIONS);
		try (JavaProcess service = service(broker, "undisturbed", "stream");
				CalmKafkaClient client = client(broker, "undisturbed")) {
			service.awaitOutput("Takes requests up from [undisturbed");
			Semaphore open = new Semaphore(OPEN);
			for (Side side : sides) {
				for (String id : side.ledger.ids(Ledger.Kind.WHOLE, Ledger.Kind.CANCELLED, Ledger.Kind.LATE)) {
					TextRequest asked = Objects.requireNonNull(side.requests.get(id));
					TextRequest again = new TextRequest(id, asked.prompt(), asked.maxNewTokens(), asked.temperature(),
							asked.candidates(), asked.exact(), asked.seed(), asked.stop(), null);
					open.acquireUninterruptibly();
					client.stream(again).collectList().toFuture().whenComplete((chunks, failure) -> {
						if (failure == null) {
							side.ledger.expects(id, text(chunks));
						}
						else {
							this.deaths.add("undisturbed: " + failure);
						}
						open.release();
					});
				}
			}
			open.acquireUninterruptibly(OPEN);
		}
	}

	private void assertAll(List<Side> sides) {
		Map<String, Map<Ledger.Wrong, List<String>>> findings = sides.stream()
			.collect(Collectors.toMap((side) -> side.mode, (side) -> side.ledger.findings()));
		sides.forEach((side) -> LOG.info("{}: {}", side.mode, side.ledger));
		LOG.info("seed {}, faults {}", SEED, this.faults);
		findings.forEach((mode, wrong) -> wrong
			.forEach((kind, all) -> all.forEach((each) -> LOG.error("{}: {} {}", mode, kind, each))));
		assertThat(findings.values()).as("what is wrong").allMatch(Map::isEmpty);
		assertThat(this.deaths).as("what ended by itself").isEmpty();
	}

	private Thread inBackground(String name, Runnable task) {
		Thread thread = new Thread(() -> {
			try {
				task.run();
			}
			catch (RuntimeException | Error ex) {
				// nobody else would hear of it
				this.deaths.add(name + ": " + ex);
				throw ex;
			}
		}, "chaos-" + name);
		thread.setDaemon(true);
		thread.start();
		return thread;
	}

	private CalmKafkaClient client(BrokerProcess broker, String prefix) {
		return CalmKafkaClient.create(
				Map.of("bootstrap.servers", broker.address(), "delivery.timeout.ms", 900_000, "max.block.ms", 300_000,
						"retry.backoff.ms", 200),
				(options) -> options.requests(prefix + ".requests")
					.chunks(prefix + ".chunks")
					.control(prefix + ".control")
					.timeout(PATIENCE.plusSeconds((long) (60 * MINUTES))));
	}

	private JavaProcess service(BrokerProcess broker, String prefix, String mode) {
		return JavaProcess.start(
				this.temporary.resolve("service-" + prefix + "-" + this.processes.getAndIncrement() + ".txt"),
				(SCRIPTED ? ScriptedGenerator.class : StreamingGenerator.class).getName(),
				"--spring.main.web-application-type=none", "--spring.main.keep-alive=true",
				"--spring.main.banner-mode=off", "--spring.kafka.bootstrap-servers=" + broker.address(),
				SCRIPTED ? "--calm.engine.slots=4" : "--calm.model.location=" + model(),
				"--calm.streaming.mode=" + mode, "--calm.streaming.group=" + prefix,
				"--calm.streaming.topics.requests=" + prefix + ".requests",
				"--calm.streaming.topics.chunks=" + prefix + ".chunks",
				"--calm.streaming.topics.control=" + prefix + ".control",
				"--calm.streaming.topics.dead-letters=" + prefix + ".dead-letters",
				"--calm.streaming.topics.partitions=" + PARTITIONS, "--calm.generation.candidates=10",
				"--calm.streaming.shutdown-grace=2s", "--spring.kafka.consumer.properties.session.timeout.ms=6000",
				"--spring.kafka.consumer.properties.heartbeat.interval.ms=500");
	}

	private static String model() {
		String given = System.getProperty("calm.test.model");
		return (given != null) ? given : TinyModel.directory().toString();
	}

	private static String text(List<TextChunk> chunks) {
		StringBuilder text = new StringBuilder();
		for (TextChunk chunk : chunks) {
			if (chunk.seq() == 0) {
				text.setLength(0);
			}
			text.append(chunk.text());
		}
		return text.toString();
	}

	/** Waits before a fault; false if it is to come no more. */
	private boolean isNext(String victim, Fault fault) {
		try {
			if (this.over.await(fault.pause(), TimeUnit.MILLISECONDS)) {
				return false;
			}
			LOG.info("{}: {} for {} ms", victim, fault.kind(), fault.length());
			this.faults.merge(victim.replaceAll("-[0-9]+$", "") + " " + fault.kind(), 1, Integer::sum);
			return true;
		}
		catch (InterruptedException ex) {
			return false;
		}
	}

	private static void last(Fault fault) {
		try {
			Thread.sleep(fault.length());
		}
		catch (InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

	private static Random random(String victim) {
		return new Random(SEED * 31 + victim.hashCode());
	}

	private void tormentBroker(BrokerProcess broker) {
		List<Fault.Kind> kinds = new ArrayList<>(List.of(Fault.Kind.KILL, Fault.Kind.STOP, Fault.Kind.END));
		if (JavaProcess.canLimitFiles()) {
			kinds.add(Fault.Kind.STARVE);
		}
		else {
			LOG.warn("No disk is starved: there is no prlimit on this system");
		}
		Random random = random("broker");
		Fault fault = Fault.draw(random, kinds, 5_000, 45_000);
		while (isNext("broker", fault)) {
			if (!broker.process().isAlive()) {
				this.deaths.add("broker");
			}
			switch (fault.kind()) {
				case KILL -> broker.kill();
				case STOP -> broker.process().signal("STOP");
				case END -> broker.process().stop();
				case STARVE -> broker.process().limitFiles(String.valueOf(sizeOfALog(broker, fault.choice())));
			}
			last(fault);
			broker.process().signal("CONT");
			broker.process().limitFiles("unlimited");
			if (fault.kind() == Fault.Kind.STARVE) {
				// it ends by itself when it cannot write, but not at once
				broker.process().awaitEnd(Duration.ofSeconds(5));
			}
			if (!broker.process().isAlive()) {
				broker.startAgain();
			}
			fault = Fault.draw(random, kinds, 5_000, 45_000);
		}
	}

	/** A few bytes above it, so that some record is written in part. */
	private static long sizeOfALog(BrokerProcess broker, int choice) {
		try (Stream<Path> files = Files.walk(broker.data())) {
			List<Path> logs = files.filter((file) -> file.toString().endsWith(".log"))
				.filter((file) -> file.toFile().length() > 0)
				.sorted()
				.toList();
			return logs.get(choice % logs.size()).toFile().length() + choice % 1000;
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	/** One mode: its services, those who ask them, and what is known of both. */
	private final class Side {

		private final String mode;

		private final BrokerProcess broker;

		private final Ledger ledger;

		private final CalmKafkaClient client;

		private final JavaProcess[] services = new JavaProcess[SERVICES];

		private final Map<String, TextRequest> requests = new ConcurrentHashMap<>();

		private final Semaphore free = new Semaphore(OPEN);

		Side(BrokerProcess broker, String mode) {
			this.mode = mode;
			this.broker = broker;
			this.ledger = new Ledger(mode);
			broker.createTopics(mode, PARTITIONS);
			this.client = client(broker, mode);
		}

		void startServices() {
			for (int i = 0; i < SERVICES; i++) {
				this.services[i] = service(this.broker, this.mode, this.mode);
			}
		}

		void awaitServices() {
			for (JavaProcess service : this.services) {
				awaitStart(service);
			}
		}

		List<Thread> start() {
			List<Thread> threads = new ArrayList<>();
			for (int i = 0; i < SERVICES; i++) {
				int number = i;
				threads.add(inBackground(this.mode + "-" + i, () -> torment(number)));
			}
			threads.add(inBackground(this.mode + "-asks", this::ask));
			return threads;
		}

		private void torment(int number) {
			List<Fault.Kind> kinds = List.of(Fault.Kind.KILL, Fault.Kind.KILL, Fault.Kind.STOP, Fault.Kind.STOP,
					Fault.Kind.END);
			String name = this.mode + "-" + number;
			Random random = random(name);
			while (true) {
				Fault fault = Fault.draw(random, kinds, 1_000, 40_000);
				JavaProcess service = this.services[number];
				if (fault.choice() % 4 > 0) {
					awaitStart(service);
				}
				if (!isNext(name, fault)) {
					return;
				}
				if (!service.isAlive()) {
					ChaosTests.this.deaths.add(name);
				}
				switch (fault.kind()) {
					case KILL, STARVE -> service.kill();
					case STOP -> service.signal("STOP");
					case END -> service.stop();
				}
				last(fault);
				service.signal("CONT");
				if (!service.isAlive()) {
					this.services[number] = service(this.broker, this.mode, this.mode);
				}
			}
		}

		/** Most of them get as far as that, even on a slow machine. */
		private void awaitStart(JavaProcess service) {
			try {
				while (service.isAlive() && !service.output().contains("process running for")
						&& !ChaosTests.this.over.await(200, TimeUnit.MILLISECONDS)) {
					// not yet
				}
			}
			catch (InterruptedException ex) {
				throw new IllegalStateException(ex);
			}
		}

		private void ask() {
			Random random = random(this.mode + "-asks");
			for (int i = 0; ChaosTests.this.over.getCount() > 0; i++) {
				Ledger.Kind kind = kind(random.nextInt(100));
				TextRequest request = request(this.mode + "-" + i, kind, random);
				long patience = random.nextLong(3000);
				this.free.acquireUninterruptibly();
				this.ledger.asks(request.id(), kind);
				this.requests.put(request.id(), request);
				CompletableFuture<List<TextChunk>> answer = this.client.stream(request).collectList().toFuture();
				if (kind == Ledger.Kind.CANCELLED) {
					CompletableFuture.delayedExecutor(patience, TimeUnit.MILLISECONDS)
						.execute(() -> this.client.cancel(request.id()));
				}
				answer.whenComplete((chunks, failure) -> {
					answered(request.id(), chunks, failure);
					this.free.release();
				});
			}
		}

		private static Ledger.Kind kind(int percent) {
			if (percent < 8) {
				return Ledger.Kind.CANCELLED;
			}
			if (percent < 12) {
				return Ledger.Kind.LATE;
			}
			return (percent < 16) ? Ledger.Kind.REFUSED : Ledger.Kind.WHOLE;
		}

		private static TextRequest request(String id, Ledger.Kind kind, Random random) {
			long seed = random.nextLong();
			int tokens = random.nextInt(8, 400);
			double temperature = random.nextBoolean() ? 1 : 0.5;
			String prompt = PROMPTS.get(random.nextInt(PROMPTS.size()));
			long left = random.nextLong(500, 20_000);
			return TextRequest.of(prompt, (request) -> {
				request.id(id).seed(seed).maxNewTokens(tokens).temperature(temperature);
				if (kind == Ledger.Kind.LATE) {
					request.deadline(Instant.now().plusMillis(left));
				}
				if (kind == Ledger.Kind.REFUSED) {
					request.temperature(2);
				}
			});
		}

		private void answered(String id, List<TextChunk> chunks, Throwable failure) {
			if (failure instanceof GenerationFailedException) {
				this.ledger.answered(id, null);
			}
			else if (failure != null) {
				LOG.error("{}: {}", id, failure.toString());
			}
			else {
				this.ledger.answered(id, text(chunks));
			}
		}

		/** Nothing has got stuck: all is answered, and no service has anything left. */
		void awaitAnswers() {
			long begun = System.nanoTime();
			try {
				await().atMost(PATIENCE)
					.pollInterval(Duration.ofMillis(500))
					.untilAsserted(() -> assertThat(this.free.availablePermits()).as(this.mode).isEqualTo(OPEN));
				await().atMost(PATIENCE)
					.pollInterval(Duration.ofMillis(500))
					.untilAsserted(() -> assertThat(left()).as(this.mode).isZero());
				LOG.info("{}: all was answered and committed after {} s", this.mode,
						(System.nanoTime() - begun) / 1_000_000_000);
			}
			catch (ConditionTimeoutException ex) {
				// the ledger will say what is missing; what the services do is known only
				// now
				ChaosTests.this.deaths.add(this.mode + " is stuck: " + ex.getMessage());
				for (JavaProcess service : this.services) {
					LOG.error("{} is stuck: {}", this.mode, service.threads());
				}
			}
		}

		/** Requests that are not committed. */
		private long left() throws ExecutionException, InterruptedException {
			try (Admin admin = Admin.create(this.broker.connection())) {
				long left = 0;
				Map<TopicPartition, Long> committed = this.mode.equals("share-group") ? Map.of() : committed(admin);
				for (TopicPartition each : partitions("requests")) {
					long asked = admin.listOffsets(Map.of(each, OffsetSpec.latest()))
						.partitionResult(each)
						.get()
						.offset();
					left += this.mode.equals("share-group") ? lag(admin, each, asked)
							: asked - committed.getOrDefault(each, 0L);
				}
				return left;
			}
		}

		private Map<TopicPartition, Long> committed(Admin admin) throws ExecutionException, InterruptedException {
			return admin.listConsumerGroupOffsets(this.mode)
				.partitionsToOffsetAndMetadata()
				.get()
				.entrySet()
				.stream()
				.collect(Collectors.toMap(Map.Entry::getKey, (each) -> each.getValue().offset()));
		}

		/**
		 * The start offset of a share group may stay behind what has been acknowledged.
		 */
		private long lag(Admin admin, TopicPartition partition, long asked)
				throws ExecutionException, InterruptedException {
			SharePartitionOffsetInfo read = admin
				.listShareGroupOffsets(
						Map.of(this.mode, new ListShareGroupOffsetsSpec().topicPartitions(List.of(partition))))
				.partitionsToOffsetInfo(this.mode)
				.get()
				.get(partition);
			return (read == null) ? asked : read.lag().orElse(asked - read.startOffset());
		}

		private List<TopicPartition> partitions(String topic) {
			return IntStream.range(0, PARTITIONS)
				.mapToObj((i) -> new TopicPartition(this.mode + "." + topic, i))
				.toList();
		}

		void close() {
			this.client.close();
			for (JavaProcess service : this.services) {
				service.close();
			}
		}

		void readTopics() {
			read("requests", this.ledger::request);
			read("chunks", this.ledger::chunk);
			read("dead-letters", this.ledger::letter);
		}

		/** As a reader of committed records sees it, from the beginning to the end. */
		private void read(String topic, java.util.function.Consumer<ConsumerRecord<byte[], byte[]>> to) {
			try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
					Map.of(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, this.broker.address(),
							ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed"),
					new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
				List<TopicPartition> partitions = partitions(topic);
				consumer.assign(partitions);
				consumer.seekToBeginning(partitions);
				Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
				while (partitions.stream().anyMatch((each) -> consumer.position(each) < ends.getOrDefault(each, 0L))) {
					consumer.poll(Duration.ofMillis(200)).forEach(to);
				}
			}
		}

	}

}

package io.calm.generation;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Precision;
import io.calm.input.InvalidInputException;
import io.calm.layer.CacheConfig;
import io.calm.model.LanguageModelConfig;
import io.calm.model.ModelConfigs;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.text.Tokenizer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

/** Many requests at once: who joins, leaves, waits or stops reading. */
@Timeout(60)
class EngineTrafficTest {

	private static final int CONTEXT = 40;

	/** A dozen units in the last place (2.4e-7) of the logits, which are below 4. */
	private static final float TIE = 3e-6f;

	private static Path model;

	@BeforeAll
	static void write(@TempDir Path directory) {
		model = directory.resolve("model");
		// such that EOS never comes up
		TinyModel.write(model, TinyModel.autoencoder().build(), 0.25f, 0);
	}

	private static GenerationEngine engine(Consumer<EngineOptions.Builder> options) {
		return GenerationEngine.open(model, (builder) -> {
			builder.context(CONTEXT).program(TinyModel.PROGRAM);
			options.accept(builder);
		});
	}

	/** A text that nobody reads to its end frees its slot with the engine's next step. */
	private static void awaitIdle(GenerationEngine engine) throws InterruptedException {
		assertThat(engine.awaitIdle(Duration.ofMinutes(1))).as("all texts end: %s", engine.status()).isTrue();
	}

	/** All samplers, temperatures, lengths and prompts, mixed in five slots. */
	@Test
	void aTextDoesNotDependOnItsNeighbours() {
		Random random = new Random(1);
		List<GenerationRequest> requests = new ArrayList<>();
		for (int i = 0; i < 60; i++) {
			String prompt = "the cat sat on the mat because it rained and ".substring(0, random.nextInt(40))
				.repeat(random.nextInt(3));
			int kind = i % 4;
			long seed = i;
			requests.add(GenerationRequest.of(prompt,
					(request) -> request.seed(seed)
						.maxNewTokens(1 + random.nextInt(60))
						.temperature((kind == 0) ? 1 : 0.3 + random.nextDouble() / 2)
						.candidates(5 + random.nextInt(20))
						.exact(kind == 2)));
		}
		List<String> alone = new ArrayList<>();
		try (GenerationEngine engine = engine((options) -> options.slots(1))) {
			requests.forEach((request) -> alone.add(engine.submit(request).text()));
			assertThat(engine.status()).isEqualTo(new EngineStatus(1, 0, 0, 60, 60));
		}
		try (GenerationEngine engine = engine((options) -> options.slots(5))) {
			List<GenerationStream> streams = requests.stream().map(engine::submit).toList();
			assertThat(streams.stream().map(GenerationStream::text).toList()).isEqualTo(alone);
		}
		assertThat(alone.stream().distinct().count()).as("texts differ").isGreaterThan(40);
	}

	/** Among all logits that decided the patch in which a text went another way. */
	private static float nearestTie(GenerationRequest request, int[] same) {
		int size = TinyModel.autoencoder().build().patchSize();
		return NearestTie.before(model, request, new ByteTokenizer().encode(request.prompt()),
				Arrays.copyOf(same, same.length / size * size));
	}

	/** What was written of a text is what the same request writes alone. */
	@Test
	@Timeout(900)
	void everyRequestEndsOnceWhateverHappensToIt() throws InterruptedException {
		int count = Boolean.getBoolean("calm.long") ? 1000 : 120;
		List<MixedTraffic.Outcome> outcomes = new ArrayList<>();
		try (GenerationEngine engine = engine((options) -> options.slots(8))) {
			MixedTraffic.through(engine, count, outcomes::add);
			awaitIdle(engine);
			assertThat(engine.status()).isEqualTo(new EngineStatus(8, 0, 0, count, count));
		}
		assertThat(outcomes).hasSize(count);
		int whole = 0;
		int rounded = 0;
		int cut = 0;
		try (GenerationEngine engine = engine((options) -> options.slots(1))) {
			for (MixedTraffic.Outcome outcome : outcomes) {
				if (outcome.chunks().isEmpty()) {
					assertThat(outcome.left()).as("nobody read it").isTrue();
					continue;
				}
				List<Chunk> alone = engine.submit(outcome.request()).stream().toList();
				int[] all = alone.stream().flatMapToInt((chunk) -> Arrays.stream(chunk.tokens())).toArray();
				int same = Arrays.mismatch(outcome.tokens(), Arrays.copyOf(all, outcome.tokens().length));
				if (same >= 0) {
					// with more rows a product rounds differently, which decides a tie
					assertThat(nearestTie(outcome.request(), Arrays.copyOf(all, same))).as("difference of two logits")
						.isLessThan(TIE);
					rounded++;
					continue;
				}
				if (!outcome.left()) {
					assertThat(outcome.chunks().stream().filter((chunk) -> chunk.finishReason() != null)).hasSize(1);
					assertThat(outcome.end()).isNotNull();
				}
				if (!outcome.left() && outcome.end() != FinishReason.DEADLINE) {
					whole++;
					StringBuilder text = new StringBuilder();
					alone.forEach((chunk) -> text.append(chunk.text()));
					assertThat(outcome.text()).isEqualTo(text.toString());
					assertThat(outcome.end()).isEqualTo(alone.get(alone.size() - 1).finishReason());
				}
				else {
					cut++;
				}
			}
		}
		assertThat(rounded).as("texts that rounding changed").isLessThan(count / 50);
		// or a tie would explain anything
		assertThat(outcomes.stream()
			.filter((outcome) -> outcome.request().sampling().exact())
			.limit(20)
			.filter((outcome) -> nearestTie(outcome.request(), new int[0]) < TIE)).hasSizeLessThan(5);
		assertThat(whole).as("texts that were read to their ends").isGreaterThan(count / 4);
		assertThat(cut).as("texts that were not").isGreaterThan(count / 10);
	}

	@Test
	void aReaderWhoStopsDoesNotStallTheOthers() {
		try (GenerationEngine engine = engine((options) -> options.slots(2).buffer(2))) {
			GenerationStream slow = engine.generate("", (request) -> request.maxNewTokens(100));
			Iterator<Chunk> slowly = slow.iterator();
			slowly.next();
			for (int i = 0; i < 5; i++) {
				assertThat(engine.generate("", (request) -> request.maxNewTokens(100)).stream()).hasSize(25);
			}
			assertThat(engine.status().active()).isEqualTo(1);
			int rest = 0;
			while (slowly.hasNext()) {
				slowly.next();
				rest++;
			}
			assertThat(rest).isEqualTo(24);
		}
	}

	@Test
	void deadlinesEndTextsThatRunAndTextsThatWait() throws InterruptedException {
		try (GenerationEngine engine = engine((options) -> options.slots(1).buffer(1))) {
			GenerationStream blocking = engine.generate("", (request) -> request.deadline(Duration.ofMillis(300)));
			GenerationStream waiting = engine.generate("", (request) -> request.deadline(Duration.ofMillis(50)));
			assertThat(waiting.stream()).extracting(Chunk::finishReason).containsExactly(FinishReason.DEADLINE);
			// nobody reads it, so it waits with one chunk in its buffer
			awaitIdle(engine);
			assertThat(blocking.stream()).extracting(Chunk::finishReason).containsExactly(null, FinishReason.DEADLINE);
		}
	}

	@Test
	void moreThanMayWaitAreRefused() {
		try (GenerationEngine engine = engine((options) -> options.slots(1).queue(2).buffer(1))) {
			List<GenerationStream> accepted = new ArrayList<>();
			assertThatExceptionOfType(EngineBusyException.class).isThrownBy(() -> {
				for (int i = 0; i < 10; i++) {
					accepted.add(engine.generate("", (request) -> request.maxNewTokens(50)));
				}
			}).withMessageContaining("2 requests wait");
			// the slot may or may not have been free before the third came
			assertThat(accepted).hasSizeBetween(2, 3);
			accepted.forEach((stream) -> assertThat(stream.stream()).isNotEmpty());
		}
	}

	@Test
	void aClosedEngineEndsItsTextsWithAnError() {
		GenerationEngine engine = engine((options) -> options.slots(1).buffer(1));
		GenerationStream running = engine.generate("", (request) -> request.maxNewTokens(100));
		GenerationStream waiting = engine.generate("", (request) -> {
		});
		Iterator<Chunk> chunks = running.iterator();
		chunks.next();
		engine.close();
		engine.close();
		assertThatIllegalStateException().isThrownBy(() -> {
			while (chunks.hasNext()) {
				chunks.next();
			}
		}).withMessageContaining("closed");
		assertThatIllegalStateException().isThrownBy(waiting::text).withMessageContaining("closed");
		assertThatIllegalStateException().isThrownBy(() -> engine.generate("", (request) -> {
		})).withMessageContaining("closed");
	}

	@Test
	void aSubscriberGetsWhatItRequests() throws InterruptedException {
		try (GenerationEngine engine = engine((options) -> options.slots(1))) {
			Collector collector = new Collector();
			engine.generate("", (request) -> request.maxNewTokens(20)).subscribe(collector);
			assertThat(collector.events.poll(300, TimeUnit.MILLISECONDS)).as("nothing was requested").isNull();
			collector.request(2);
			assertThat(collector.take(2)).containsExactly("chunk 0", "chunk 1");
			assertThat(collector.events.poll(300, TimeUnit.MILLISECONDS)).as("two were requested").isNull();
			collector.request(100);
			assertThat(collector.take(4)).containsExactly("chunk 2", "chunk 3", "chunk 4", "complete");
		}
	}

	@Test
	void aSubscriberMayCancelAndMustRequestSomething() throws InterruptedException {
		try (GenerationEngine engine = engine((options) -> options.slots(1))) {
			Collector cancelling = new Collector();
			engine.generate("", (request) -> request.maxNewTokens(100)).subscribe(cancelling);
			cancelling.request(1);
			assertThat(cancelling.take(1)).containsExactly("chunk 0");
			cancelling.cancel();
			Collector wrong = new Collector();
			engine.generate("", (request) -> request.maxNewTokens(100)).subscribe(wrong);
			wrong.request(0);
			assertThat(wrong.take(1)).containsExactly("error java.lang.IllegalArgumentException");
			// both slots are free again
			assertThat(engine.generate("", (request) -> request.maxNewTokens(4)).stream()).hasSize(1);
			assertThat(cancelling.events).isEmpty();
		}
	}

	/** What the engine's thread does under its lock must not wait for a reader's lock. */
	@Test
	void anInterruptedReaderHoldsUpNobody() throws InterruptedException {
		Object engineLock = new Object();
		CountDownLatch waking = new CountDownLatch(1);
		GenerationStream stream = new GenerationStream(0, 64, () -> {
			waking.countDown();
			synchronized (engineLock) {
				// as the engine does
			}
		});
		Thread reader = new Thread(() -> assertThatExceptionOfType(CancellationException.class)
			.isThrownBy(() -> stream.iterator().hasNext()));
		Thread engine = new Thread(stream::hasRoom);
		synchronized (engineLock) {
			reader.start();
			reader.interrupt();
			assertThat(waking.await(20, TimeUnit.SECONDS)).isTrue();
			engine.start();
			engine.join(20_000);
			assertThat(engine.isAlive()).as("waits for the reader, who waits for the engine").isFalse();
		}
		reader.join();
	}

	/** As {@code Future.cancel(true)} and {@code shutdownNow()} do it. */
	@Test
	void readersMayBeInterruptedAtAnyMoment() throws InterruptedException {
		try (GenerationEngine engine = engine((options) -> options.slots(2).queue(300))) {
			Random random = new Random(4);
			for (int i = 0; i < 300; i++) {
				GenerationStream stream = engine.generate("", (request) -> request.maxNewTokens(40));
				Thread reader = new Thread(() -> {
					try {
						stream.text();
					}
					catch (CancellationException ex) {
						// interrupted before the end
					}
				});
				reader.start();
				LockSupport.parkNanos(random.nextInt(2_000_000));
				reader.interrupt();
				reader.join();
			}
			awaitIdle(engine);
			assertThat(engine.status()).isEqualTo(new EngineStatus(2, 0, 0, 300, 300));
		}
	}

	/** All of whose threads wait for texts: then nothing else may be needed of it. */
	@Test
	void subscribersAreServedWhileTheCommonPoolIsBusy() throws InterruptedException {
		CountDownLatch done = new CountDownLatch(1);
		int threads = 2 * (ForkJoinPool.getCommonPoolParallelism() + 1);
		for (int i = 0; i < threads; i++) {
			ForkJoinPool.commonPool().execute(() -> {
				try {
					done.await();
				}
				catch (InterruptedException ex) {
					Thread.currentThread().interrupt();
				}
			});
		}
		try (GenerationEngine engine = engine((options) -> options.slots(1))) {
			Collector collector = new Collector();
			engine.generate("", (request) -> request.maxNewTokens(4)).subscribe(collector);
			collector.request(10);
			assertThat(collector.take(2)).containsExactly("chunk 0", "complete");
		}
		finally {
			done.countDown();
		}
	}

	@Test
	void aReaderWhoLeavesWithoutAWordLosesItsSlot() throws InterruptedException {
		try (GenerationEngine engine = engine(
				(options) -> options.slots(1).buffer(2).readerTimeout(Duration.ofMillis(200)))) {
			Iterator<Chunk> left = engine.generate("", (request) -> request.maxNewTokens(100)).iterator();
			left.next();
			assertThat(engine.generate("", (request) -> request.maxNewTokens(4)).stream()).hasSize(1);
			awaitIdle(engine);
			assertThatExceptionOfType(CancellationException.class).isThrownBy(() -> left.forEachRemaining((chunk) -> {
			})).withMessageContaining("PT0.2S");
		}
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> EngineOptions.of((options) -> options.readerTimeout(Duration.ZERO)))
			.withMessageContaining("reader timeout");
	}

	@Test
	void aDeadlineInAnotherMillenniumIsNone() {
		try (GenerationEngine engine = engine((options) -> options.slots(1))) {
			for (Duration deadline : List.of(Duration.ofDays(200_000), Duration.ofMillis(Long.MAX_VALUE),
					Duration.ofSeconds(Long.MAX_VALUE))) {
				assertThat(engine.generate("", (request) -> request.maxNewTokens(4).deadline(deadline)).stream())
					.extracting(Chunk::finishReason)
					.containsExactly(FinishReason.LENGTH);
			}
		}
	}

	@Test
	void manyCandidatesAreRefusedBeforeTheyTakeMemory() {
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> GenerationRequest.of("", (request) -> request.candidates(500_000_000)))
			.withMessageContaining("candidates is 500000000");
	}

	@Test
	void aVeryLongPromptIsRefusedBeforeItIsEncoded() {
		try (GenerationEngine engine = engine((options) -> options.slots(1))) {
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> engine.generate("a".repeat(100_000), (request) -> {
				}))
				.withMessageContaining("100000 characters long");
		}
	}

	/** At an error, or when step after step fails. */
	@ParameterizedTest
	@ValueSource(booleans = { true, false })
	void aFailedEngineEndsItsTextsAndTakesNoMore(boolean error) throws Exception {
		String message = error ? "Java heap space" : "device lost";
		BrokenTokenizer tokenizer = new BrokenTokenizer();
		try (GenerationEngine engine = engine(tokenizer)) {
			assertThat(text(engine)).isNotEmpty();
			tokenizer.failure = () -> {
				if (error) {
					throw new OutOfMemoryError(message);
				}
				throw new IllegalStateException(message);
			};
			for (int failed = 0; failed < (error ? 0 : 2); failed++) {
				assertThatIllegalStateException().isThrownBy(() -> text(engine))
					.isNotInstanceOf(EngineClosedException.class)
					.withMessageContaining(message);
			}
			assertThatExceptionOfType(EngineClosedException.class).isThrownBy(() -> text(engine))
				.withMessageContaining(message);
			assertThat(engine.failure().toCompletableFuture().get(20, TimeUnit.SECONDS)).hasMessage(message);
			tokenizer.failure = () -> {
			};
			assertThatExceptionOfType(EngineClosedException.class).isThrownBy(() -> text(engine))
				.withMessageContaining("open the model again");
			awaitIdle(engine);
		}
	}

	/** Else a failure now and then would add up to one. */
	@Test
	void anEngineOutlivesFailuresOfSingleTexts() {
		BrokenTokenizer tokenizer = new BrokenTokenizer();
		try (GenerationEngine engine = engine(tokenizer)) {
			for (int i = 0; i < 5; i++) {
				tokenizer.failure = () -> {
					throw new IllegalStateException("this text");
				};
				assertThatIllegalStateException().isThrownBy(() -> text(engine)).withMessageContaining("this text");
				tokenizer.failure = () -> {
				};
				assertThat(text(engine)).isNotEmpty();
			}
		}
	}

	private static String text(GenerationEngine engine) {
		return engine.generate("", (request) -> request.maxNewTokens(4)).text();
	}

	private static GenerationEngine engine(Tokenizer tokenizer) {
		ModelDirectory directory = ModelDirectory.open(model);
		try (TensorFile weights = directory.weights()) {
			LanguageModelConfig config = ModelConfigs.languageModel(directory, weights);
			EngineOptions options = EngineOptions.of((builder) -> builder.slots(1).buffer(1));
			return GenerationEngine.start(config, options, CONTEXT, true, tokenizer, ModelProgram.load(directory,
					weights, config, config.vocabularySize(), CacheConfig.of(1, CONTEXT), TinyModel.PROGRAM),
					config.eosId());
		}
	}

	/** With weights that are converted once and then freed. */
	@Test
	void generatesInBfloat16() {
		try (GenerationEngine engine = engine(
				(options) -> options.program(TinyModel.PROGRAM.withPrecision(Precision.BF16)))) {
			List<Chunk> chunks = engine.generate("x", (request) -> request.maxNewTokens(100)).stream().toList();
			assertThat(chunks).hasSize(25);
			assertThat(chunks.stream().map((chunk) -> Arrays.toString(chunk.tokens())).distinct())
				.hasSizeGreaterThan(10);
		}
	}

	@Test
	void stopStringsEndTheTextBeforeThem() {
		try (GenerationEngine engine = engine((options) -> options.slots(1))) {
			String whole = engine.generate("x", (request) -> request.maxNewTokens(100)).text();
			String stop = whole.substring(20, 27);
			List<Chunk> chunks = engine.generate("x", (request) -> request.maxNewTokens(100).stop("no such", stop))
				.stream()
				.toList();
			StringBuilder text = new StringBuilder();
			chunks.forEach((chunk) -> text.append(chunk.text()));
			assertThat(text.toString()).isEqualTo(whole.substring(0, whole.indexOf(stop)));
			assertThat(chunks.get(chunks.size() - 1).finishReason()).isEqualTo(FinishReason.STOP);
		}
	}

	@Test
	void stopStringsAreFoundAcrossPiecesAndOtherwiseLoseNothing() {
		StopStrings stops = new StopStrings(List.of("abab", "bc"));
		List<String> given = new ArrayList<>();
		for (String piece : List.of("xa", "b", "a", "x", "ab", "a", "bz")) {
			given.add(stops.append(piece));
		}
		assertThat(String.join("", given)).isEqualTo("xabax");
		assertThat(stops.found()).isTrue();
		StopStrings unused = new StopStrings(List.of("abab"));
		assertThat(unused.append("xaba") + unused.append("a") + unused.flush()).isEqualTo("xabaa");
		assertThat(unused.found()).isFalse();
	}

	/** Without PADs before it, a prompt's last tokens begin the first generated patch. */
	@Test
	void anOpenPatchIsCompletedWhereTheModelKnowsNoPad() {
		int[] text = { 10, 11, 12, 13, 14 };
		var config = TinyModel.calm().build(TinyModel.autoencoder().build());
		Prompt padded = Prompt.of(text, config, true);
		assertThat(padded.patches()).containsExactly(0, 0, 1, 10, 11, 12, 13, 14);
		assertThat(padded.open()).isEmpty();
		Prompt open = Prompt.of(text, config, false);
		assertThat(open.patches()).containsExactly(1, 10, 11, 12);
		assertThat(open.open()).containsExactly(13, 14);
		assertThat(Prompt.of(Arrays.copyOf(text, 3), config, false).patches()).containsExactly(1, 10, 11, 12);
		assertThat(Prompt.of(Arrays.copyOf(text, 2), config, false).patches()).containsExactly(0, 1, 10, 11);
	}

	/** Bytes, as long as nothing fails. */
	private static final class BrokenTokenizer implements Tokenizer {

		private final ByteTokenizer bytes = new ByteTokenizer();

		private volatile Runnable failure = () -> {
		};

		@Override
		public int[] encode(String text) {
			return this.bytes.encode(text);
		}

		@Override
		public String decode(int... ids) {
			if (ids.length > 0) {
				this.failure.run();
			}
			return this.bytes.decode(ids);
		}

		@Override
		public Map<String, Integer> specialTokens() {
			return Map.of();
		}

		@Override
		public int vocabularySize() {
			return this.bytes.vocabularySize();
		}

		@Override
		public int longestToken() {
			return this.bytes.longestToken();
		}

		@Override
		public int padId() {
			return this.bytes.padId();
		}

		@Override
		public int bosId() {
			return this.bytes.bosId();
		}

		@Override
		public int eosId() {
			return this.bytes.eosId();
		}

		@Override
		public void save(Path directory) {
			this.bytes.save(directory);
		}

		@Override
		public void close() {
		}

	}

	private static final class Collector implements Flow.Subscriber<Chunk> {

		private final BlockingQueue<String> events = new LinkedBlockingQueue<>();

		private Flow.@Nullable Subscription subscription;

		@Override
		public void onSubscribe(Flow.Subscription subscription) {
			this.subscription = subscription;
		}

		@Override
		public void onNext(Chunk chunk) {
			this.events.add("chunk " + chunk.index());
		}

		@Override
		public void onError(Throwable failure) {
			this.events.add("error " + failure.getClass().getName());
		}

		@Override
		public void onComplete() {
			this.events.add("complete");
		}

		void request(long n) {
			if (this.subscription != null) {
				this.subscription.request(n);
			}
		}

		void cancel() {
			if (this.subscription != null) {
				this.subscription.cancel();
			}
		}

		List<String> take(int count) throws InterruptedException {
			List<String> taken = new ArrayList<>();
			for (int i = 0; i < count; i++) {
				taken.add(String.valueOf(this.events.poll(20, TimeUnit.SECONDS)));
			}
			return taken;
		}

	}

}

package io.calm.generation;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

import io.calm.graph.Precision;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

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
	@Timeout(300)
	void everyRequestEndsOnceWhateverHappensToIt() throws InterruptedException {
		int count = 1000;
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
		assertThat(rounded).as("texts that rounding changed").isLessThan(count / 100);
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

package io.calm.spring;

import java.lang.reflect.Field;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

import io.calm.generation.Chunk;
import io.calm.generation.EngineClosedException;
import io.calm.generation.EngineStatus;
import io.calm.generation.GenerationEngine;
import io.calm.input.InvalidInputException;
import io.calm.text.Tokenizer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.availability.AvailabilityChangeEvent;
import org.springframework.boot.availability.LivenessState;
import org.springframework.boot.health.contributor.Status;
import org.springframework.boot.test.context.assertj.AssertableApplicationContext;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

/**
 * The exchange of a model for another one. With a buffer of one chunk, a text that nobody
 * reads stays in its slot.
 */
class ServedModelTests {

	private static final int TEXT = 40;

	/** The text that every engine generates before its first request. */
	private static final int WARM_UP = 1;

	private final ApplicationContextRunner application = new ApplicationContextRunner()
		.withConfiguration(
				AutoConfigurations.of(CalmModelAutoConfiguration.class, CalmGenerationAutoConfiguration.class))
		.withPropertyValues("calm.model.location=file:" + TinyModel.directory(), "calm.engine.buffer=1",
				"calm.generation.candidates=2", "calm.generation.max-new-tokens=" + TEXT * TinyModel.PATCH_SIZE);

	@TempDir
	private Path temporary = Path.of("");

	private static GenerationEngine engine(AssertableApplicationContext context) {
		return Objects.requireNonNull(context.getBean(ServedModel.class).engine());
	}

	private static void awaitClosed(GenerationEngine engine) {
		await().untilAsserted(() -> assertThatThrownBy(() -> engine.generate("", (options) -> {
		})).hasMessageContaining("closed"));
	}

	@Test
	void textsEndOnTheEngineOnWhichTheyBegan() {
		this.application.run((context) -> {
			ServedModel model = context.getBean(ServedModel.class);
			TextGenerator generator = context.getBean(TextGenerator.class);
			GenerationEngine before = engine(context);
			SlowReader reader = generator.stream("Two").subscribeWith(new SlowReader()).begun();

			model.reload("file:" + TinyModel.copyTo(this.temporary.resolve("next")));
			assertThat(model.status().name()).isEqualTo("next");
			assertThat(model.status().draining()).isEqualTo(1);
			assertThat(before.status().active()).isEqualTo(1);
			long accepted = before.status().accepted();
			assertThat(generator.stream("Red").collectList().block()).hasSize(TEXT);
			assertThat(before.status().accepted()).isEqualTo(accepted);

			assertThat(reader.rest().join()).hasSize(TEXT);
			await().until(() -> model.status().draining() == 0);
			awaitClosed(before);
			assertThat(model.status().lastError()).isNull();
		});
	}

	@Test
	void noRequestFailsWhileModelsAreExchanged() {
		this.application.run((context) -> {
			ServedModel model = context.getBean(ServedModel.class);
			TextGenerator generator = context.getBean(TextGenerator.class);
			GenerationEngine before = engine(context);
			ExecutorService clients = Executors.newFixedThreadPool(50);
			try {
				// two that stay for certain, and many that come and go
				List<SlowReader> slow = List.of(generator.stream("Two").subscribeWith(new SlowReader()).begun(),
						generator.stream("Two").subscribeWith(new SlowReader()).begun());
				List<CompletableFuture<List<Chunk>>> texts = new ArrayList<>();
				for (int i = 0; i < 23; i++) {
					texts.add(CompletableFuture.supplyAsync(() -> read(generator), clients));
				}
				await().until(() -> before.status().accepted() == WARM_UP + 25);
				CompletableFuture<Void> exchanges = CompletableFuture.runAsync(() -> {
					model.reload();
					model.reload();
				});
				for (int i = 0; i < 25; i++) {
					texts.add(CompletableFuture.supplyAsync(() -> read(generator), clients));
				}
				exchanges.join();
				assertThat(before.status().active()).isGreaterThanOrEqualTo(2);
				slow.forEach((reader) -> texts.add(reader.rest()));
				assertThat(texts).allSatisfy((text) -> assertThat(text.join()).hasSize(TEXT));
				await().until(() -> model.status().draining() == 0);
				awaitClosed(before);
				assertThat(model.status().lastError()).isNull();
			}
			finally {
				clients.shutdownNow();
			}
		});
	}

	@Test
	void aFailedEngineIsSeenUntilAnotherTakesItsPlace() {
		List<LivenessState> liveness = new CopyOnWriteArrayList<>();
		this.application.withInitializer((context) -> context.addApplicationListener((event) -> {
			if (event instanceof AvailabilityChangeEvent<?> change
					&& change.getState() instanceof LivenessState state) {
				liveness.add(state);
			}
		})).run((context) -> {
			ServedModel model = context.getBean(ServedModel.class);
			TextGenerator generator = context.getBean(TextGenerator.class);
			CalmHealthIndicator health = new CalmHealthIndicator(model);
			breakTokenizer(engine(context));
			assertThatExceptionOfType(EngineClosedException.class).isThrownBy(() -> generator.generate("Two"));
			await().untilAsserted(() -> assertThat(liveness).containsExactly(LivenessState.BROKEN));
			assertThat(model.status().state()).isEqualTo(ModelStatus.State.FAILED);
			assertThat(Objects.requireNonNull(health.health()).getStatus()).isEqualTo(Status.DOWN);
			assertThatExceptionOfType(EngineClosedException.class).isThrownBy(() -> generator.generate("Two"));

			model.reload();
			assertThat(model.status().state()).isEqualTo(ModelStatus.State.USABLE);
			assertThat(Objects.requireNonNull(health.health()).getStatus()).isEqualTo(Status.UP);
			assertThat(liveness).containsExactly(LivenessState.BROKEN, LivenessState.CORRECT);
			assertThat(read(generator)).hasSize(TEXT);
			await().until(() -> model.status().draining() == 0);
		});
	}

	/** One text more, and there is no memory for it. */
	private static void breakTokenizer(GenerationEngine engine) throws ReflectiveOperationException {
		Field field = GenerationEngine.class.getDeclaredField("tokenizer");
		field.setAccessible(true);
		Object whole = field.get(engine);
		field.set(engine, Proxy.newProxyInstance(Tokenizer.class.getClassLoader(), new Class<?>[] { Tokenizer.class },
				(proxy, method, arguments) -> {
					if (method.getName().equals("decode")) {
						throw new OutOfMemoryError("Java heap space");
					}
					return method.invoke(whole, arguments);
				}));
	}

	private static List<Chunk> read(TextGenerator generator) {
		return Objects.requireNonNull(generator.stream("Two").collectList().block());
	}

	@Test
	void whatIsNotReadInTimeEndsWithAnError() {
		this.application.withPropertyValues("calm.engine.drain-timeout=1ms").run((context) -> {
			GenerationEngine before = engine(context);
			SlowReader reader = context.getBean(TextGenerator.class)
				.stream("Two")
				.subscribeWith(new SlowReader())
				.begun();
			context.getBean(ServedModel.class).reload();
			awaitClosed(before);
			assertThatExceptionOfType(CompletionException.class).isThrownBy(() -> reader.rest().join())
				.havingCause()
				.withMessageContaining("closed");
		});
	}

	@Test
	void failedExchangeChangesNothing() {
		this.application.run((context) -> {
			ServedModel model = context.getBean(ServedModel.class);
			GenerationEngine before = engine(context);
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> model.reload("file:" + this.temporary))
				.withMessageContaining("holds no config.json");
			assertThat(model.engine()).isSameAs(before);
			assertThat(Objects.requireNonNull(model.status().lastError()).message()).contains("holds no config.json");
			assertThat(context.getBean(TextGenerator.class).generate("Two")).isNotEmpty();
		});
	}

	@Test
	void requestsAfterTheEndAreRefused() {
		SlowReader reader = new SlowReader();
		ServedModel[] model = new ServedModel[1];
		this.application.run((context) -> {
			model[0] = context.getBean(ServedModel.class);
			context.getBean(TextGenerator.class).stream("Two").subscribe(reader);
			reader.begun();
		});
		assertThat(model[0].status().state()).isEqualTo(ModelStatus.State.CLOSED);
		assertThatThrownBy(() -> reader.rest().join()).hasMessageContaining("closed");
		assertThatThrownBy(() -> model[0].reload()).hasMessageContaining("the application ends");
		assertThatThrownBy(() -> model[0].countTokens("Two")).hasMessageContaining("the application ends");
	}

	@Test
	void engineIsIdleOnlyWithoutTexts() {
		this.application.run((context) -> {
			GenerationEngine engine = engine(context);
			SlowReader reader = context.getBean(TextGenerator.class)
				.stream("Two")
				.subscribeWith(new SlowReader())
				.begun();
			assertThat(engine.awaitIdle(Duration.ofMillis(1))).isFalse();
			reader.rest().join();
			assertThat(engine.awaitIdle(Duration.ofMinutes(1))).isTrue();
			EngineStatus status = engine.status();
			assertThat(status.ended()).isEqualTo(status.accepted());
		});
	}

}

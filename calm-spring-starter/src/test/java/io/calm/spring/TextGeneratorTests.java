package io.calm.spring;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.generation.Chunk;
import io.calm.generation.EngineBusyException;
import io.calm.generation.FinishReason;
import io.calm.input.InvalidInputException;
import io.calm.text.PromptTokens;
import io.micrometer.common.KeyValue;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.observation.DefaultMeterObservationHandler;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.tck.TestObservationRegistry;
import io.micrometer.observation.tck.TestObservationRegistryAssert;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.publisher.Flux;

import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;
import static org.awaitility.Awaitility.await;

class TextGeneratorTests {

	private static final String PROMPT = "The prompt is private.";

	private final ApplicationContextRunner application = new ApplicationContextRunner()
		.withConfiguration(AutoConfigurations.of(CalmModelAutoConfiguration.class,
				CalmGenerationAutoConfiguration.class, CalmMetricsAutoConfiguration.class))
		.withPropertyValues("calm.model.location=file:" + TinyModel.directory(), "calm.engine.buffer=1",
				"calm.engine.slots=1", "calm.engine.queue=1", "calm.generation.candidates=2",
				"calm.generation.max-new-tokens=40");

	private final TestObservationRegistry observations = TestObservationRegistry.create();

	private final SeenGenerations seen = new SeenGenerations();

	TextGeneratorTests() {
		this.observations.observationConfig().observationHandler(this.seen);
	}

	private GenerationObservationContext observed() {
		return this.seen.ended().get(0);
	}

	@Test
	void streamsTheTextPatchByPatch() {
		this.application.run((context) -> {
			TextGenerator generator = context.getBean(TextGenerator.class);
			List<Chunk> chunks = Objects.requireNonNull(
					generator.stream(PROMPT, (options) -> options.maxNewTokens(10).seed(7)).collectList().block());
			assertThat(chunks).extracting((chunk) -> chunk.tokens().length).containsExactly(4, 4, 2);
			assertThat(chunks).extracting(Chunk::finishReason).containsExactly(null, null, FinishReason.LENGTH);
			assertThat(generator.generate(PROMPT, (options) -> options.maxNewTokens(10).seed(7)))
				.isEqualTo(chunks.stream().map(Chunk::text).collect(Collectors.joining()));
			assertThat(generator.countTokens("Two")).isEqualTo(3);
			// whoever sends it: a text of bytes, unless the request says that it names
			// special tokens
			String named = PromptTokens.SPECIAL + "x" + PromptTokens.SPECIAL_END;
			assertThat(generator.countTokens(named)).isEqualTo(3 + 1 + 3);
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> generator.countTokensWithSpecial(named));
		});
	}

	/** Which keeps every thread of the common pool waiting. */
	@Test
	@Timeout(120)
	void generatesInAParallelStream() {
		int texts = 2 * (ForkJoinPool.getCommonPoolParallelism() + 1);
		this.application.withPropertyValues("calm.engine.queue=" + texts).run((context) -> {
			TextGenerator generator = context.getBean(TextGenerator.class);
			assertThat(IntStream.range(0, texts)
				.parallel()
				.mapToObj((number) -> generator.generate("Two", (options) -> options.maxNewTokens(8)))
				.toList()).hasSize(texts);
		});
	}

	@Test
	void cancellingEndsTheGeneration() {
		this.application.withBean(TestObservationRegistry.class, () -> this.observations).run((context) -> {
			ServedModel model = context.getBean(ServedModel.class);
			assertThat(context.getBean(TextGenerator.class).stream(PROMPT).take(2).collectList().block()).hasSize(2);
			// unread and not cancelled, it would keep its slot for ever
			await().until(() -> Objects.requireNonNull(model.status().engine()).active() == 0);
			await().until(() -> !this.seen.ended().isEmpty());
			assertThat(observed().cancelled()).isTrue();
			assertThat(observed().outputTokens()).isLessThan(40);
			assertThat(observed().finishReason()).isNull();
			assertThat(model.status().lastError()).isNull();
		});
	}

	@Test
	void tooManyRequestsAreRefused() {
		this.application.run((context) -> {
			TextGenerator generator = context.getBean(TextGenerator.class);
			ServedModel model = context.getBean(ServedModel.class);
			SlowReader active = generator.stream(PROMPT).subscribeWith(new SlowReader()).begun();
			SlowReader waiting = generator.stream(PROMPT).subscribeWith(new SlowReader());
			await().until(() -> Objects.requireNonNull(model.status().engine()).waiting() == 1);
			assertThatExceptionOfType(EngineBusyException.class).isThrownBy(() -> generator.generate(PROMPT));
			assertThat(model.status().lastError()).isNull();
			assertThat(active.rest().join()).hasSize(10);
			assertThat(waiting.rest().join()).hasSize(10);
		});
	}

	@Test
	void badInputIsOneClearError() {
		this.application.run((context) -> {
			TextGenerator generator = context.getBean(TextGenerator.class);
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> generator.generate(PROMPT, (options) -> options.temperature(2)))
				.withMessageContaining("temperature");
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> generator.generate("long ".repeat(1000)))
				.withMessageContaining("context");
			assertThat(context.getBean(ServedModel.class).status().lastError()).isNull();
		});
	}

	@Test
	void isObserved() {
		this.application.withBean(TestObservationRegistry.class, () -> this.observations)
			.run((context) -> context.getBean(TextGenerator.class).generate(PROMPT));
		TestObservationRegistryAssert.assertThat(this.observations)
			.hasSingleObservationThat()
			.hasNameEqualTo("gen_ai.client.operation.duration")
			.hasContextualNameEqualTo("text_completion tiny")
			.hasLowCardinalityKeyValue("gen_ai.operation.name", "text_completion")
			.hasLowCardinalityKeyValue("gen_ai.provider.name", "calm")
			.hasLowCardinalityKeyValue("gen_ai.request.model", "tiny")
			.hasLowCardinalityKeyValue("gen_ai.response.model", "tiny")
			.hasHighCardinalityKeyValue("gen_ai.request.max_tokens", "40")
			.hasHighCardinalityKeyValue("gen_ai.usage.input_tokens", Integer.toString(PROMPT.length()))
			.hasHighCardinalityKeyValue("gen_ai.usage.output_tokens", "40")
			.hasHighCardinalityKeyValue("gen_ai.response.finish_reasons", "length")
			.hasBeenStopped();
		GenerationObservationContext context = observed();
		assertThat(context.queueTime()).isNotNull();
		assertThat(context.timeToFirstChunk()).isNotNull().isGreaterThanOrEqualTo(context.queueTime());
		assertThat(context.interChunkTimes()).hasSize(9);
	}

	@Test
	void observationIsAChildOfTheCallers() {
		this.application.withBean(TestObservationRegistry.class, () -> this.observations).run((context) -> {
			Observation caller = Observation.start("caller", this.observations);
			caller.scoped(() -> context.getBean(TextGenerator.class).generate(PROMPT));
			caller.stop();
			TestObservationRegistryAssert.assertThat(this.observations)
				.hasObservationWithNameEqualTo("gen_ai.client.operation.duration")
				.that()
				.hasParentObservationEqualTo(caller);
		});
	}

	@Test
	void refusedRequestIsAnErrorOfItsObservation() {
		this.application.withBean(TestObservationRegistry.class, () -> this.observations)
			.run((context) -> Flux.from(context.getBean(TextGenerator.class).stream("long ".repeat(1000)))
				.onErrorComplete()
				.blockLast());
		TestObservationRegistryAssert.assertThat(this.observations)
			.hasSingleObservationThat()
			.hasBeenStopped()
			.thenError()
			.isInstanceOf(InvalidInputException.class);
	}

	@Test
	void promptsAndTextsAreNotObserved() {
		this.application.withBean(TestObservationRegistry.class, () -> this.observations)
			.run((context) -> context.getBean(TextGenerator.class).generate(PROMPT));
		GenerationObservationContext context = observed();
		assertThat(context.prompt()).isNull();
		assertThat(context.completion()).isNull();
		assertThat(context.request().prompt()).isEmpty();
		assertThat(context.getAllKeyValues().stream().map(KeyValue::getKey)).isNotEmpty()
			.doesNotContain("gen_ai.input.messages", "gen_ai.output.messages");
		assertThat(context.getAllKeyValues().stream().map(KeyValue::getValue))
			.noneMatch((value) -> value.contains("private"));
	}

	@Test
	void promptsAndTextsAreObservedWhereThatIsSwitchedOn() {
		String[] text = new String[1];
		this.application
			.withPropertyValues("calm.observations.include-prompt=true", "calm.observations.include-completion=true")
			.withBean(TestObservationRegistry.class, () -> this.observations)
			.run((context) -> text[0] = context.getBean(TextGenerator.class).generate(PROMPT));
		TestObservationRegistryAssert.assertThat(this.observations)
			.hasSingleObservationThat()
			.hasHighCardinalityKeyValue("gen_ai.input.messages",
					"[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"" + PROMPT + "\"}]}]");
		JsonObject written = JsonParser
			.parseString(
					Objects.requireNonNull(observed().getHighCardinalityKeyValue("gen_ai.output.messages")).getValue())
			.getAsJsonArray()
			.get(0)
			.getAsJsonObject();
		assertThat(written.get("role").getAsString()).isEqualTo("assistant");
		assertThat(written.get("finish_reason").getAsString()).isEqualTo("length");
		assertThat(written.getAsJsonArray("parts").get(0).getAsJsonObject().get("content").getAsString())
			.isEqualTo(text[0]);
	}

	@Test
	void isMeasured() {
		SimpleMeterRegistry meters = new SimpleMeterRegistry();
		ObservationRegistry registry = ObservationRegistry.create();
		this.application.withBean(MeterRegistry.class, () -> meters)
			.withBean(ObservationRegistry.class, () -> registry)
			.run((context) -> {
				// Boot does that where there is an actuator
				registry.observationConfig()
					.observationHandler(new DefaultMeterObservationHandler(meters))
					.observationHandler(context.getBean(GenerationMeters.class));
				context.getBean(EngineMeters.class).bindTo(meters);
				SlowReader reader = context.getBean(TextGenerator.class)
					.stream(PROMPT)
					.subscribeWith(new SlowReader())
					.begun();
				assertThat(meters.get("calm.engine.slots").gauge().value()).isEqualTo(1);
				assertThat(meters.get("calm.engine.slots.active").gauge().value()).isEqualTo(1);
				assertThat(meters.get("calm.engine.queue").gauge().value()).isZero();
				reader.rest().join();
				await().until(() -> meters.find("gen_ai.client.operation.duration").timer() != null);
				assertThat(meters.get("gen_ai.client.operation.duration").timer().count()).isEqualTo(1);
				assertThat(tokens(meters, "input")).isEqualTo(PROMPT.length());
				assertThat(tokens(meters, "output")).isEqualTo(40);
				assertThat(meters.get("gen_ai.server.request.duration").timer().count()).isEqualTo(1);
				assertThat(meters.get("gen_ai.server.time_to_first_token").timer().count()).isEqualTo(1);
				// the mean of 36 tokens behind the first four
				double others = meters.get("gen_ai.client.operation.time_per_output_chunk")
					.timer()
					.totalTime(TimeUnit.NANOSECONDS);
				assertThat(meters.get("gen_ai.server.time_per_output_token").timer().totalTime(TimeUnit.NANOSECONDS))
					.isCloseTo(others / 36, within(1.0));
				assertThat(meters.get("gen_ai.client.operation.time_to_first_chunk").timer().count()).isEqualTo(1);
				assertThat(meters.get("gen_ai.client.operation.time_per_output_chunk").timer().count()).isEqualTo(9);
				assertThat(meters.get("calm.generation.queue.time").timer().count()).isEqualTo(1);
				assertThat(meters.get("calm.generation.speed").summary().max()).isPositive();
			});
	}

	private static double tokens(MeterRegistry meters, String type) {
		return meters.get("gen_ai.client.token.usage")
			.tags("gen_ai.token.type", type, "gen_ai.request.model", "tiny")
			.summary()
			.totalAmount();
	}

	@Test
	void isMeasuredWithTheNamesOfSpringAi() {
		SimpleMeterRegistry meters = new SimpleMeterRegistry();
		ObservationRegistry registry = ObservationRegistry.create();
		this.application.withPropertyValues("calm.observations.spring-ai-names=true")
			.withBean(MeterRegistry.class, () -> meters)
			.withBean(ObservationRegistry.class, () -> registry)
			.run((context) -> {
				registry.observationConfig()
					.observationHandler(new DefaultMeterObservationHandler(meters))
					.observationHandler(context.getBean(GenerationMeters.class));
				context.getBean(TextGenerator.class).generate(PROMPT);
				assertThat(meters.get("gen_ai.client.operation").tag("gen_ai.system", "calm").timer().count())
					.isEqualTo(1);
				assertThat(meters.get("gen_ai.client.token.usage").tag("gen_ai.token.type", "total").counter().count())
					.isEqualTo(40 + PROMPT.length());
				assertThat(meters.find("gen_ai.server.request.duration").timer()).isNull();
			});
	}

}

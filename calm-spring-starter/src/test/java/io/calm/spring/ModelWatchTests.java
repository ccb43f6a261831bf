package io.calm.spring;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.Status;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

@ExtendWith(OutputCaptureExtension.class)
class ModelWatchTests {

	private final MovingModel location = new MovingModel();

	private final ApplicationContextRunner application = new ApplicationContextRunner()
		.withConfiguration(AutoConfigurations.of(CalmModelAutoConfiguration.class,
				CalmGenerationAutoConfiguration.class, CalmMetricsAutoConfiguration.class))
		.withBean(MovingModel.class, () -> this.location)
		.withBean(MeterRegistry.class, SimpleMeterRegistry::new)
		.withPropertyValues("calm.model.location=" + MovingModel.LOCATION, "calm.model.watch=10ms",
				"calm.generation.candidates=2", "calm.generation.max-new-tokens=8");

	private static double exchanges(MeterRegistry registry, String outcome) {
		return registry.get("calm.model.exchanges").tag("outcome", outcome).functionCounter().count();
	}

	private static Health health(ServedModel model) {
		return Objects.requireNonNull(new CalmHealthIndicator(model).health(true));
	}

	@Test
	void aVersionThatCannotBeUsedLeavesTheOldOne(@TempDir Path empty, CapturedOutput output) {
		this.application.run((context) -> {
			ServedModel model = context.getBean(ServedModel.class);
			MeterRegistry registry = context.getBean(MeterRegistry.class);
			context.getBean(EngineMeters.class).bindTo(registry);
			this.location.moveTo("2", empty);
			await().until(() -> exchanges(registry, "failure") > 0);
			assertThat(model.status().version()).isEqualTo("1");
			assertThat(context.getBean(TextGenerator.class).generate("Two")).isNotEmpty();
			assertThat(health(model).getStatus()).isEqualTo(Status.UP);
			assertThat(health(model).getDetails()).containsEntry("version", "1")
				.hasEntrySatisfying("lastError",
						(error) -> assertThat(error.toString()).contains(MovingModel.LOCATION));
			assertThat(output).contains("Version 2 cannot be used, version 1 stays: calm.model.location");
			// more and more rarely, not a hundred times a second
			double before = exchanges(registry, "failure");
			await().until(() -> exchanges(registry, "failure") > before);

			this.location.moveTo("3", TinyModel.directory());
			await().until(() -> "3".equals(model.status().version()));
			assertThat(exchanges(registry, "success")).isEqualTo(1);
		});
	}

	@Test
	void aRegistryThatIsAwayChangesNothing(CapturedOutput output) {
		this.application.run((context) -> {
			ServedModel model = context.getBean(ServedModel.class);
			this.location.moveTo("", TinyModel.directory());
			await().until(() -> output.toString().contains("Whether moving:tiny has moved is not known"));
			assertThat(model.status().version()).isEqualTo("1");
			this.location.moveTo("2", TinyModel.directory());
			await().until(() -> "2".equals(model.status().version()));
			assertThat(output.toString()).containsOnlyOnce("is not known");
		});
	}

	@Test
	void chatResponsesSayWhichVersionWroteThem() {
		this.application.run((context) -> {
			CalmChatModel chat = new CalmChatModel(context.getBean(TextGenerator.class), ChatPromptFormat.PLAIN,
					ChatOptions.builder().build());
			assertThat((String) chat.call(new Prompt("Two")).getMetadata().get("version")).isEqualTo("1");
			List<ChatResponse> stream = Objects.requireNonNull(chat.stream(new Prompt("Two")).collectList().block());
			assertThat(stream).hasSize(2).allMatch((response) -> "1".equals(response.getMetadata().get("version")));
		});
	}

}

package io.calm.spring;

import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;

import io.calm.generation.GenerationEngine;
import io.calm.mlflow.MlflowListener;
import io.calm.mlflow.MlflowRegistry;
import io.calm.mlflow.MlflowServer;
import io.calm.mlflow.MlflowStatus;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.tracking.MlflowClient;

import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.ssl.SslAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * An application and a real MLflow server.
 */
@ExtendWith(MlflowServer.class)
class MlflowTests {

	private final String name = "fish-" + UUID.randomUUID();

	private final URI server;

	private final Path directory;

	private final ApplicationContextRunner application;

	MlflowTests(URI server, @TempDir Path directory) {
		this.server = server;
		this.directory = directory;
		this.application = new ApplicationContextRunner()
			.withConfiguration(AutoConfigurations.of(SslAutoConfiguration.class, CalmMlflowAutoConfiguration.class,
					CalmModelAutoConfiguration.class, CalmGenerationAutoConfiguration.class,
					CalmTrainingAutoConfiguration.class))
			.withPropertyValues("calm.mlflow.tracking-uri=" + server, "calm.mlflow.experiment=" + this.name,
					"calm.mlflow.cache=" + directory.resolve("cache"));
	}

	/** The first one is the champion. */
	private void registerTwoVersions() {
		this.application.withPropertyValues("calm.model.enabled=false").run((context) -> {
			MlflowRegistry registry = context.getBean(MlflowRegistry.class);
			registry.register(this.name, TinyModel.directory(), (version) -> version.alias("champion"));
			registry.register(this.name, TinyModel.directory(), (version) -> {
			});
		});
	}

	@Test
	void modelOfTheRegistryIsServedAndExchanged() {
		registerTwoVersions();
		this.application.withPropertyValues("calm.model.location=models:/" + this.name + "@champion").run((context) -> {
			assertThat(context.getBean(TextGenerator.class).generate("Two")).isNotEmpty();
			ServedModel model = context.getBean(ServedModel.class);
			GenerationEngine first = model.engine();
			context.getBean(MlflowRegistry.class).setAlias(this.name, "champion", 2);
			model.reload();
			assertThat(model.engine()).isNotSameAs(first);
			assertThat(context.getBean(TextGenerator.class).generate("Two")).isNotEmpty();
		});
	}

	@Test
	void aMovedAliasIsFollowed() {
		registerTwoVersions();
		this.application
			.withPropertyValues("calm.model.location=models:/" + this.name + "@champion", "calm.model.watch=100ms")
			.run((context) -> {
				ServedModel model = context.getBean(ServedModel.class);
				assertThat(model.status().version()).isEqualTo("1");
				context.getBean(MlflowRegistry.class).setAlias(this.name, "champion", 2);
				await().atMost(Duration.ofMinutes(1)).until(() -> "2".equals(model.status().version()));
			});
	}

	@Test
	void trainingsOfTheApplicationAreFollowed() {
		MlflowListener[] listener = new MlflowListener[1];
		this.application.withPropertyValues("calm.model.enabled=false").run((context) -> {
			listener[0] = context.getBean(MlflowListener.class);
			context.getBean(CalmTrainer.class).train(TinyModel.training(this.directory.resolve("model"))).close();
		});
		// closed with the application, which has waited for the server
		MlflowStatus status = listener[0].status().orElseThrow();
		assertThat(status.complete()).isTrue();
		MlflowClient client = new MlflowClient(this.server.toString());
		String run = status.runId().orElseThrow();
		assertThat(client.getRun(run).getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(client.getExperiment(client.getRun(run).getInfo().getExperimentId()).getName()).isEqualTo(this.name);
		assertThat(this.directory.resolve("mlflow-spool")).isEmptyDirectory();
	}

}

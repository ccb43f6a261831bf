package io.calm.spring;

import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

import io.calm.Calm;
import io.calm.generation.EngineOptions;
import io.calm.generation.GenerationEngine;
import io.calm.generation.GenerationRequest;
import io.calm.generation.Sampling;
import io.calm.graph.Device;
import io.calm.graph.Precision;
import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowConnection;
import io.calm.mlflow.MlflowListener;
import io.calm.mlflow.MlflowOptions;
import io.calm.mlflow.MlflowRegistry;
import io.calm.sampling.BatchSampler;
import io.calm.training.Phase;
import io.calm.training.TrainingListener;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.observation.tck.TestObservationRegistry;
import io.micrometer.observation.tck.TestObservationRegistryAssert;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reactor.core.publisher.Flux;

import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.boot.actuate.info.InfoContributor;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.ssl.SslAutoConfiguration;
import org.springframework.boot.context.annotation.ImportCandidates;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthContributor;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.boot.ssl.NoSuchSslBundleException;
import org.springframework.boot.ssl.SslBundles;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

/**
 * What there is without a word of configuration, what each property does, and what backs
 * off for whom. Only where it says {@link #opened} is a model opened.
 */
class AutoConfigurationTests {

	private static final Class<?>[] ALL = ImportCandidates
		.load(AutoConfiguration.class, AutoConfigurationTests.class.getClassLoader())
		.getCandidates()
		.stream()
		.filter((name) -> name.startsWith("io.calm."))
		.map((name) -> {
			try {
				return Class.forName(name);
			}
			catch (ClassNotFoundException ex) {
				throw new IllegalStateException(ex);
			}
		})
		.toArray(Class<?>[]::new);

	private final ApplicationContextRunner bare = new ApplicationContextRunner()
		.withConfiguration(AutoConfigurations.of(ALL));

	private final ApplicationContextRunner lazy = this.bare.withPropertyValues("calm.model.location=models/fish",
			"calm.model.loading=lazy");

	private final ApplicationContextRunner mlflow = this.lazy
		.withConfiguration(AutoConfigurations.of(SslAutoConfiguration.class))
		.withPropertyValues("calm.mlflow.tracking-uri=http://localhost:1");

	private final ApplicationContextRunner opened = this.bare
		.withPropertyValues("calm.model.location=file:" + TinyModel.directory(), "calm.engine.slots=2");

	@Test
	void allAreRegistered() {
		assertThat(ALL).hasSize(9);
	}

	@Test
	void oneProperty() {
		this.bare.withPropertyValues("calm.model.location=file:" + TinyModel.directory()).run((context) -> {
			assertThat(context).hasNotFailed()
				.hasSingleBean(ServedModel.class)
				.hasSingleBean(TextGenerator.class)
				.hasSingleBean(CalmTrainer.class)
				.hasSingleBean(ChatModel.class)
				.hasSingleBean(EmbeddingModel.class)
				.hasBean("calmHealthContributor")
				.hasBean("calmInfoContributor");
			ModelStatus status = context.getBean(ServedModel.class).status();
			assertThat(status.state()).isEqualTo(ModelStatus.State.USABLE);
			assertThat(status.name()).isEqualTo("tiny");
			assertThat(status.lastError()).isNull();
			// one text, to warm up
			assertThat(Objects.requireNonNull(status.engine()).accepted()).isEqualTo(1);
			assertThat(context.getBean(TextGenerator.class).stream("Two").collectList().block())
				.hasSize(128 / TinyModel.PATCH_SIZE);
		});
	}

	@Test
	void engineIsClosedWithTheApplication() {
		GenerationEngine[] engine = new GenerationEngine[1];
		this.opened.run((context) -> engine[0] = Objects.requireNonNull(context.getBean(ServedModel.class).engine()));
		assertThat(catchThrowable(() -> engine[0].generate("", (options) -> {
		}))).hasMessageContaining("closed");
	}

	@Test
	void defaultsAreThoseOfTheLibrary() {
		this.lazy.run((context) -> {
			CalmProperties properties = context.getBean(CalmProperties.class);
			assertThat(EngineOptions.of(properties.engine()::applyTo)).isEqualTo(EngineOptions.of((options) -> {
			}));
			assertThat(GenerationRequest.of("a", (request) -> {
				properties.generation().applyTo(request);
				request.seed(1);
			})).isEqualTo(GenerationRequest.of("a", (request) -> {
			}));
			assertThat(properties.model()).isEqualTo(new CalmProperties.Model(true, "models/fish", null, null, null,
					CalmProperties.Loading.LAZY, true, null));
			assertThat(properties.engine().drainTimeout()).isEqualTo(Duration.ofMinutes(10));
			assertThat(properties.observations()).isEqualTo(new CalmProperties.Observations(false, false, false));
		});
	}

	@Test
	void everyRequestHasItsOwnSeed() {
		this.lazy.run((context) -> {
			CalmProperties.Generation generation = context.getBean(CalmProperties.class).generation();
			assertThat(Stream.generate(() -> GenerationRequest.of("", generation::applyTo).seed()).limit(10).distinct())
				.hasSizeGreaterThan(1);
		});
	}

	@Test
	void everyProperty() {
		Map<String, String> values = Map.ofEntries(Map.entry("calm.model.name", "fish"),
				Map.entry("calm.model.autoencoder", "hf:me/ae"), Map.entry("calm.model.tokenizer", "hf:me/llama"),
				Map.entry("calm.model.warm-up", "false"), Map.entry("calm.model.watch", "5m"),
				Map.entry("calm.engine.slots", "2"), Map.entry("calm.engine.queue", "3"),
				Map.entry("calm.engine.context", "16"), Map.entry("calm.engine.buffer", "5"),
				Map.entry("calm.engine.device", "cpu"), Map.entry("calm.engine.precision", "bf16"),
				Map.entry("calm.engine.fused", "true"), Map.entry("calm.engine.drain-timeout", "7s"),
				Map.entry("calm.engine.reader-timeout", "9s"), Map.entry("calm.generation.max-new-tokens", "8"),
				Map.entry("calm.generation.temperature", "0.5"), Map.entry("calm.generation.candidates", "9"),
				Map.entry("calm.generation.exact", "true"), Map.entry("calm.generation.seed", "11"),
				Map.entry("calm.generation.stop", "one,two"), Map.entry("calm.generation.deadline", "13s"),
				Map.entry("calm.observations.include-prompt", "true"),
				Map.entry("calm.observations.include-completion", "true"),
				Map.entry("calm.observations.spring-ai-names", "true"));
		this.lazy
			.withPropertyValues(values.entrySet()
				.stream()
				.map((entry) -> entry.getKey() + "=" + entry.getValue())
				.toArray(String[]::new))
			.run((context) -> {
				CalmProperties properties = context.getBean(CalmProperties.class);
				assertThat(properties).isEqualTo(new CalmProperties(
						new CalmProperties.Model(true, "models/fish", "hf:me/ae", "hf:me/llama", "fish",
								CalmProperties.Loading.LAZY, false, Duration.ofMinutes(5)),
						new CalmProperties.Engine(2, 3, 16, 5, Duration.ofSeconds(9), Device.CPU, Precision.BF16, true,
								Duration.ofSeconds(7)),
						new CalmProperties.Generation(8, 0.5, 9, true, 11L, List.of("one", "two"),
								Duration.ofSeconds(13)),
						new CalmProperties.Observations(true, true, true)));
				assertThat(context.getBean(ServedModel.class).status().name()).isEqualTo("fish");
				EngineOptions engine = EngineOptions.of(properties.engine()::applyTo);
				assertThat(engine.slots()).isEqualTo(2);
				assertThat(engine.queue()).isEqualTo(3);
				assertThat(engine.context()).isEqualTo(16);
				assertThat(engine.buffer()).isEqualTo(5);
				assertThat(engine.program().device()).isEqualTo(Device.CPU);
				assertThat(engine.program().precision()).isEqualTo(Precision.BF16);
				assertThat(engine.program().fused()).isTrue();
				assertThat(GenerationRequest.of("", properties.generation()::applyTo))
					.isEqualTo(new GenerationRequest("", 8, new Sampling(0.5, BatchSampler.ALL, 1, 9, true), 11,
							List.of("one", "two"), Duration.ofSeconds(13), false));
			});
	}

	@Test
	void propertiesReachEngineAndRequests() {
		this.opened
			.withPropertyValues("calm.model.name=fish", "calm.model.warm-up=false", "calm.generation.max-new-tokens=8")
			.withBean(EngineOptionsCustomizer.class, () -> (options) -> options.slots(3))
			.run((context) -> {
				ModelStatus status = context.getBean(ServedModel.class).status();
				assertThat(status.name()).isEqualTo("fish");
				assertThat(Objects.requireNonNull(status.engine()).accepted()).isZero();
				assertThat(status.engine().slots()).isEqualTo(3);
				assertThat(context.getBean(TextGenerator.class).stream("").collectList().block()).hasSize(2);
			});
	}

	@ParameterizedTest
	@CsvSource({ "calm.engine.slots=0, engine.slots", "calm.engine.queue=0, engine.queue",
			"calm.engine.context=1, engine.context", "calm.engine.buffer=0, engine.buffer",
			"calm.generation.max-new-tokens=0, generation.maxNewTokens",
			"calm.generation.temperature=0, generation.temperature",
			"calm.generation.temperature=1.1, generation.temperature",
			"calm.generation.candidates=0, generation.candidates", "calm.generation.stop[0]=, generation.stop",
			"calm.engine.device=tpu, tpu", "calm.model.watch=0s, calm.model.watch" })
	void badPropertiesAreNamed(String property, String named) {
		this.lazy.withPropertyValues(property).run((context) -> {
			assertThat(context).hasFailed();
			assertThat(context.getStartupFailure()).rootCause().hasMessageContaining(named);
		});
	}

	@Test
	void switchedOffThereIsNoModelButATrainer() {
		this.bare.withPropertyValues("calm.model.enabled=false")
			.run((context) -> assertThat(context).hasNotFailed()
				.hasSingleBean(CalmTrainer.class)
				.doesNotHaveBean(ServedModel.class)
				.doesNotHaveBean(TextGenerator.class)
				.doesNotHaveBean(ChatModel.class)
				.doesNotHaveBean(HealthContributor.class));
	}

	@Test
	void ownTextGenerator() {
		TextGenerator own = new FixedText("one", " two");
		this.bare.withBean(TextGenerator.class, () -> own)
			.run((context) -> assertThat(context).hasNotFailed()
				.doesNotHaveBean(ServedModel.class)
				.getBean(TextGenerator.class)
				.isSameAs(own));
	}

	@Test
	void ownTextGeneratorOverTheModel() {
		this.bare.withPropertyValues("calm.model.location=file:" + TinyModel.directory(), "calm.model.loading=lazy")
			.withBean(TextGenerator.class, () -> new FixedText("one"))
			.run((context) -> assertThat(context).hasSingleBean(TextGenerator.class).hasSingleBean(ServedModel.class));
	}

	@Test
	void ownEngine() {
		this.bare.withBean(GenerationEngine.class, () -> Calm.open(TinyModel.directory())).run((context) -> {
			ServedModel model = context.getBean(ServedModel.class);
			assertThat(model.engine()).isSameAs(context.getBean(GenerationEngine.class));
			assertThat(context.getBean(TextGenerator.class).generate("Two")).isNotEmpty();
		});
	}

	@Test
	void ownTrainer() {
		CalmTrainer own = new CalmTrainer(List.of());
		this.lazy.withBean(CalmTrainer.class, () -> own)
			.run((context) -> assertThat(context).getBean(CalmTrainer.class).isSameAs(own));
	}

	@Test
	void trainerHasAllListeners(@TempDir Path directory) {
		List<String> seen = new ArrayList<>();
		TrainingListener first = new TrainingListener() {
			@Override
			public void onEnd(Phase phase, long step) {
				seen.add("first " + phase);
			}
		};
		TrainingListener second = new TrainingListener() {
			@Override
			public void onEnd(Phase phase, long step) {
				seen.add("second " + phase);
			}
		};
		this.bare.withPropertyValues("calm.model.enabled=false")
			.withBean("first", TrainingListener.class, () -> first)
			.withBean("second", TrainingListener.class, () -> second)
			.run((context) -> {
				try (GenerationEngine engine = context.getBean(CalmTrainer.class)
					.train(TinyModel.training(directory.resolve("model")))) {
					assertThat(engine.config().patchSize()).isEqualTo(TinyModel.PATCH_SIZE);
				}
			});
		assertThat(seen).containsExactly("first autoencoder", "second autoencoder", "first language-model",
				"second language-model");
	}

	@Test
	void ownChatModelAndFormat() {
		CalmChatModel own = new CalmChatModel(new FixedText("x"), ChatPromptFormat.PLAIN,
				ChatOptions.builder().build());
		this.lazy.withBean(CalmChatModel.class, () -> own)
			.run((context) -> assertThat(context).getBean(ChatModel.class).isSameAs(own));
		FixedText generator = new FixedText("x");
		this.bare.withBean(TextGenerator.class, () -> generator)
			.withBean(ChatPromptFormat.class, () -> (messages) -> messages.size() + " messages")
			.run((context) -> context.getBean(ChatModel.class).call("hello"));
		assertThat(generator.prompts()).containsExactly("1 messages");
	}

	@Test
	void otherChatModelIsChosen() {
		this.lazy.withPropertyValues("spring.ai.model.chat=openai")
			.run((context) -> assertThat(context).hasNotFailed().doesNotHaveBean(ChatModel.class));
		this.lazy.withPropertyValues("spring.ai.model.chat=calm")
			.run((context) -> assertThat(context).hasSingleBean(ChatModel.class));
	}

	@Test
	void ownHealthAndInfo() {
		HealthIndicator health = () -> Health.up().build();
		InfoContributor info = (builder) -> {
		};
		this.lazy.withBean("calmHealthContributor", HealthContributor.class, () -> health)
			.withBean("calmInfoContributor", InfoContributor.class, () -> info)
			.run((context) -> {
				assertThat(context).getBean(HealthContributor.class).isSameAs(health);
				assertThat(context).getBean(InfoContributor.class).isSameAs(info);
			});
	}

	@Test
	void healthAndInfoAreSwitchedOff() {
		this.lazy.withPropertyValues("management.health.calm.enabled=false", "management.info.calm.enabled=false")
			.run((context) -> assertThat(context).hasNotFailed()
				.doesNotHaveBean(HealthContributor.class)
				.doesNotHaveBean(InfoContributor.class));
	}

	@Test
	void metricsNeedARegistry() {
		this.lazy.run((context) -> assertThat(context).doesNotHaveBean(GenerationMeters.class)
			.doesNotHaveBean(EngineMeters.class));
		this.lazy.withBean(MeterRegistry.class, SimpleMeterRegistry::new)
			.run((context) -> assertThat(context).hasSingleBean(GenerationMeters.class)
				.hasSingleBean(EngineMeters.class));
	}

	@Test
	void ownObservationConvention() {
		TestObservationRegistry observations = TestObservationRegistry.create();
		this.opened.withBean(TestObservationRegistry.class, () -> observations)
			.withBean(GenerationObservationConvention.class, () -> new GenerationObservationConvention() {
				@Override
				public String getName() {
					return "my.generation";
				}
			})
			.run((context) -> context.getBean(TextGenerator.class).generate("Two"));
		TestObservationRegistryAssert.assertThat(observations)
			.hasObservationWithNameEqualTo("my.generation")
			.that()
			.hasBeenStopped();
	}

	@Test
	void withoutSpringAi() {
		this.opened.withClassLoader(new FilteredClassLoader("org.springframework.ai")).run((context) -> {
			assertThat(context).hasNotFailed().doesNotHaveBean("calmChatModel");
			assertThat(context.getBean(TextGenerator.class).generate("Two")).isNotEmpty();
		});
	}

	@Test
	void withoutActuator() {
		this.opened
			.withClassLoader(
					new FilteredClassLoader("org.springframework.boot.health", "org.springframework.boot.actuate"))
			.run((context) -> {
				assertThat(context).hasNotFailed()
					.doesNotHaveBean("calmHealthContributor")
					.doesNotHaveBean("calmInfoContributor");
				assertThat(context.getBean(TextGenerator.class).generate("Two")).isNotEmpty();
			});
	}

	@Test
	void withoutMicrometer() {
		this.opened.withClassLoader(new FilteredClassLoader("io.micrometer.core")).run((context) -> {
			assertThat(context).hasNotFailed()
				.doesNotHaveBean("calmGenerationMeters")
				.doesNotHaveBean("calmEngineMeters");
			assertThat(context.getBean(TextGenerator.class).generate("Two")).isNotEmpty();
		});
	}

	@Test
	void resolverBeansComeFirst() {
		this.bare.withPropertyValues("calm.model.location=models:/fish@champion")
			.withBean(ModelResolver.class,
					() -> (location) -> location.equals("models:/fish@champion") ? TinyModel.directory() : null)
			.run((context) -> assertThat(context).getBean(ServedModel.class)
				.extracting((model) -> model.status().name())
				.isEqualTo("fish@champion"));
	}

	@Test
	void unknownLocation() {
		this.bare.withPropertyValues("calm.model.location=models:/fish@champion")
			.run((context) -> assertThat(context.getStartupFailure()).rootCause()
				.isInstanceOf(InvalidInputException.class)
				.hasMessageContaining("ModelResolver"));
	}

	@Test
	void mlflowNeedsAnAddress() {
		this.lazy.run((context) -> assertThat(context).hasNotFailed()
			.doesNotHaveBean(MlflowRegistry.class)
			.doesNotHaveBean(MlflowListener.class));
	}

	@Test
	void ownMlflow() {
		MlflowRegistry registry = MlflowRegistry.of(MlflowConnection.to("http://localhost:1"));
		MlflowListener listener = MlflowListener.to("http://localhost:1");
		this.mlflow.withBean(MlflowRegistry.class, () -> registry)
			.withBean(MlflowListener.class, () -> listener)
			.run((context) -> {
				assertThat(context).getBean(MlflowRegistry.class).isSameAs(registry);
				assertThat(context).getBean(MlflowListener.class).isSameAs(listener);
			});
	}

	@Test
	void badAddressOfMlflow() {
		this.mlflow.withPropertyValues("calm.mlflow.tracking-uri=ftp://joe:s3cret@host")
			.run((context) -> assertThat(context.getStartupFailure()).rootCause()
				.isInstanceOf(InvalidInputException.class)
				.hasMessageContaining("is no address of a tracking server")
				.hasMessageNotContaining("s3cret"));
	}

	@Test
	void everyPropertyOfMlflow() {
		this.mlflow
			.withPropertyValues("calm.mlflow.username=joe", "calm.mlflow.password=s3cret", "calm.mlflow.timeout=7s",
					"calm.mlflow.experiment=fish", "calm.mlflow.run=red", "calm.mlflow.checkpoints=last",
					"calm.mlflow.spool=spool", "calm.mlflow.fail-fast=true", "calm.mlflow.cache=cache")
			.run((context) -> {
				CalmMlflowProperties properties = context.getBean(CalmMlflowProperties.class);
				SslBundles bundles = context.getBean(SslBundles.class);
				MlflowConnection connection = MlflowConnection.of((to) -> properties.applyTo(to, bundles));
				assertThat(connection).hasToString("http://localhost:1 with credentials");
				assertThat(connection.timeout()).isEqualTo(Duration.ofSeconds(7));
				MlflowOptions options = MlflowOptions.of(properties::applyTo);
				assertThat(options.experiment()).isEqualTo("fish");
				assertThat(options.run()).contains("red");
				assertThat(options.checkpoints()).isEqualTo(MlflowOptions.Checkpoints.LAST);
				assertThat(options.spool()).contains(Path.of("spool"));
				assertThat(options.failFast()).isTrue();
				assertThat(properties.cache()).isEqualTo(Path.of("cache"));
				assertThat(properties.toString()).doesNotContain("s3cret");
			});
	}

	@Test
	void unknownSslBundleOfMlflow() {
		this.mlflow.withPropertyValues("calm.mlflow.ssl-bundle=none")
			.run((context) -> assertThat(context.getStartupFailure()).rootCause()
				.isInstanceOf(NoSuchSslBundleException.class));
	}

	@Test
	void withoutMlflow() {
		this.opened.withPropertyValues("calm.mlflow.tracking-uri=http://localhost:1")
			.withClassLoader(new FilteredClassLoader("io.calm.mlflow", "org.mlflow"))
			.run((context) -> {
				assertThat(context).hasNotFailed().doesNotHaveBean("calmMlflowListener");
				assertThat(context.getBean(TextGenerator.class).generate("Two")).isNotEmpty();
			});
	}

	@Test
	void classPathDirectory(@TempDir Path root) throws Exception {
		TinyModel.copyTo(root.resolve("models/fish"));
		openFromClassPath(root.toUri().toURL());
	}

	@Test
	void classPathJar(@TempDir Path root) throws Exception {
		Path jar = root.resolve("model.jar");
		try (FileSystem zip = FileSystems.newFileSystem(jar, Map.of("create", "true"));
				Stream<Path> files = Files.walk(TinyModel.directory())) {
			for (Path file : files.toList()) {
				Path target = zip.getPath("models/fish").resolve(TinyModel.directory().relativize(file).toString());
				if (Files.isDirectory(file)) {
					Files.createDirectories(target);
				}
				else {
					Files.copy(file, target);
				}
			}
		}
		openFromClassPath(jar.toUri().toURL());
	}

	private void openFromClassPath(URL root) throws Exception {
		try (URLClassLoader loader = new URLClassLoader(new URL[] { root }, getClass().getClassLoader())) {
			this.bare.withClassLoader(loader)
				.withPropertyValues("calm.model.location=classpath:models/fish")
				.run((context) -> assertThat(context.getBean(TextGenerator.class).generate("Two")).isNotEmpty());
		}
	}

	@Test
	void missingOnTheClassPath() {
		this.bare.withPropertyValues("calm.model.location=classpath:nowhere")
			.run((context) -> assertThat(context.getStartupFailure()).rootCause()
				.hasMessageContaining("classpath:nowhere/ holds no config.json"));
	}

	@Test
	void lazyOpensWithTheFirstRequest() {
		this.bare.withPropertyValues("calm.model.location=file:" + TinyModel.directory(), "calm.model.loading=lazy")
			.run((context) -> {
				ServedModel model = context.getBean(ServedModel.class);
				Flux<?> text = context.getBean(TextGenerator.class).stream("Two");
				assertThat(model.status().state()).isEqualTo(ModelStatus.State.WAITING);
				text.blockLast();
				assertThat(model.status().state()).isEqualTo(ModelStatus.State.USABLE);
			});
	}

	@Test
	void lazyTriesAgain(@TempDir Path root) {
		this.bare.withPropertyValues("calm.model.location=" + root.resolve("late"), "calm.model.loading=lazy")
			.run((context) -> {
				TextGenerator generator = context.getBean(TextGenerator.class);
				assertThat(catchThrowable(() -> generator.generate("Two"))).isInstanceOf(InvalidInputException.class)
					.hasMessageContaining("does not exist");
				ModelStatus failed = context.getBean(ServedModel.class).status();
				assertThat(failed.state()).isEqualTo(ModelStatus.State.FAILED);
				assertThat(Objects.requireNonNull(failed.lastError()).message()).contains("does not exist");
				TinyModel.copyTo(root.resolve("late"));
				assertThat(generator.generate("Two")).isNotEmpty();
			});
	}

}

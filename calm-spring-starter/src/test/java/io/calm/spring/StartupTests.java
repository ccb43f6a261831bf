package io.calm.spring;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import io.calm.graph.Device;
import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.availability.ApplicationAvailability;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.context.event.ApplicationStartedEvent;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.context.ApplicationContext;
import org.springframework.context.ApplicationListener;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.io.DefaultResourceLoader;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * How an application starts with a model, and what it says when it cannot.
 */
@ExtendWith(OutputCaptureExtension.class)
class StartupTests {

	@TempDir
	private Path temporary = Path.of("");

	private static SpringApplicationBuilder application(String... properties) {
		return new SpringApplicationBuilder(Application.class).web(WebApplicationType.NONE).properties(properties);
	}

	private void assertFails(CapturedOutput output, String description, String action, String... properties) {
		assertThatExceptionOfType(Exception.class).isThrownBy(() -> application(properties).run().close())
			.havingRootCause()
			.isInstanceOf(InvalidInputException.class);
		assertExplained(output.toString(), description, action);
	}

	private static void assertExplained(String output, String description, String action) {
		assertThat(output).containsSubsequence("APPLICATION FAILED TO START", "Description:", description, "Action:",
				action);
	}

	@Test
	void noLocation(CapturedOutput output) {
		assertFails(output, "calm.model.location is not set, so there is no model to open.",
				"Set it to a model directory (file:… or classpath:…), define a GenerationEngine bean,");
	}

	@Test
	void noSuchDirectory(CapturedOutput output) {
		String location = "file:" + this.temporary.resolve("nowhere");
		assertFails(output, "calm.model.location=" + location + ": ", "Give the directory of a model",
				"calm.model.location=" + location);
		assertThat(output).contains("does not exist");
	}

	/** Two slashes make a host of the first part of the path. */
	@Test
	void aHostInALocation(CapturedOutput output) {
		assertFails(output,
				"calm.model.location=file://models/stories: file://models/stories names a host between its two slashes",
				"Write file: and the path, such as file:/models/stories or file:models/stories.",
				"calm.model.location=file://models/stories");
	}

	@Test
	void locationsAsSpringTakesThem() throws IOException {
		try (ResourceModelResolver resolver = new ResourceModelResolver(new DefaultResourceLoader())) {
			for (String location : List.of("file:///my models/größe", "file:///my%20models/größe",
					"file:/my models/größe", "/my models/größe")) {
				assertThat(resolver.resolve(location)).as(location).isEqualTo(Path.of("/my models/größe"));
			}
			assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> resolver.resolve("file:a\0b"));
		}
	}

	@Test
	void noModelDirectory(CapturedOutput output) {
		assertFails(output, "holds no config.json.", "Give the directory of a model.",
				"calm.model.location=" + this.temporary);
	}

	@Test
	void wrongArchitecture(CapturedOutput output) {
		// a model as the library writes them, but one that generates no text
		assertFails(output, "is no CALM language model.", "Give the directory of one.",
				"calm.model.location=" + withTokenizer(TinyModel.directory().resolve("autoencoder")));
	}

	private static Path withTokenizer(Path directory) {
		assertThat(directory.resolve("tokenizer.json")).exists();
		return directory;
	}

	@Test
	void noTokenizer(CapturedOutput output) throws IOException {
		Path model = TinyModel.copyTo(this.temporary.resolve("model"));
		Files.delete(model.resolve("tokenizer.json"));
		assertFails(output, "has no tokenizer.json.",
				"Copy the one that the model was trained with into the directory.", "calm.model.location=" + model);
	}

	@Test
	void noGpu(CapturedOutput output) {
		Assumptions.assumeTrue(Device.AUTO.resolve() == Device.CPU, "there is a GPU");
		assertFails(output, "calm.engine.device=gpu: device gpu: TensorFlow finds no GPU on this machine.",
				"Use the native artifact linux-x86_64-gpu with an NVIDIA driver and CUDA 12, or the device cpu or auto.",
				"calm.model.location=" + TinyModel.directory(), "calm.engine.device=gpu");
	}

	@Test
	void noNativeLibrary() throws Exception {
		String output = runWithout(".*/tensorflow-core-native-[^/]*-(linux|macosx|windows)[^/]*", 1);
		assertExplained(output, "TensorFlow: its native library for this platform (",
				"Add org.tensorflow:tensorflow-core-native with the classifier for it, such as linux-x86_64.");
	}

	@Test
	void tooLittleNativeMemory() throws Exception {
		String output = runWithout("", 1, "-Dorg.bytedeco.javacpp.maxphysicalbytes=10m");
		assertExplained(output, "JavaCPP's limits leave too little native memory to the model. ",
				"Raise org.bytedeco.javacpp.maxbytes or org.bytedeco.javacpp.maxphysicalbytes");
	}

	@Test
	void withTheStarterAlone() throws Exception {
		String output = runWithout(".*/(calm-mlflow/target/.*|(calm-mlflow|mlflow-client|spring-ai|spring-web"
				+ "|micrometer-(core|jakarta9|registry|tracing)|context-propagation|tomcat-embed-core|reactor-netty|netty-"
				+ "|spring-boot-(actuator|health|micrometer|starter-actuator|(starter-)?(webmvc|webflux)|tomcat|reactor-netty))"
				+ "[^/]*)", 0);
		assertThat(output).contains("It has said 40 tokens.");
	}

	/** In a process of its own, as what is loaded here cannot be taken away. */
	private String runWithout(String entries, int exitCode, String... jvmOptions) throws Exception {
		String classPath = Stream
			.of(System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"))
				.split(File.pathSeparator))
			.filter((entry) -> !entry.replace(File.separatorChar, '/').matches(entries))
			.collect(Collectors.joining(File.pathSeparator));
		Path output = this.temporary.resolve("output.txt");
		List<String> command = new ArrayList<>();
		command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
		command.addAll(List.of(jvmOptions));
		command.addAll(List.of("-cp", classPath, Application.class.getName(),
				"--calm.model.location=" + TinyModel.directory()));
		Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile()).start();
		int ended = process.waitFor();
		String text = Files.readString(output);
		assertThat(ended).as(text).isEqualTo(exitCode);
		return text;
	}

	@Test
	void backgroundFailureEndsTheApplication(CapturedOutput output) {
		assertFails(output, "holds no config.json.", "Give the directory of a model.",
				"calm.model.location=" + this.temporary, "calm.model.loading=background");
	}

	@Test
	void inTheBackgroundTheApplicationIsReadyWhenTheModelIsUsable() {
		CountDownLatch download = new CountDownLatch(1);
		CompletableFuture<ApplicationContext> started = new CompletableFuture<>();
		ApplicationListener<ApplicationStartedEvent> listener = (event) -> started
			.complete(event.getApplicationContext());
		CompletableFuture<ConfigurableApplicationContext> running = CompletableFuture.supplyAsync(
				() -> application("calm.model.location=slow:tiny", "calm.model.loading=background").listeners(listener)
					.initializers((context) -> context.getBeanFactory()
						.registerSingleton("slowResolver", (ModelResolver) (location) -> {
							if (!location.startsWith("slow:")) {
								return null;
							}
							try {
								download.await();
							}
							catch (InterruptedException ex) {
								throw new IllegalStateException(ex);
							}
							return TinyModel.directory();
						}))
					.run(),
				(task) -> new Thread(task).start());
		ApplicationContext context = started.join();
		ApplicationAvailability availability = context.getBean(ApplicationAvailability.class);
		ServedModel model = context.getBean(ServedModel.class);
		assertThat(availability.getReadinessState()).isEqualTo(ReadinessState.REFUSING_TRAFFIC);
		assertThat(model.status().state()).isEqualTo(ModelStatus.State.OPENING);
		CompletableFuture<List<String>> early = context.getBean(TextGenerator.class)
			.stream("Two", (options) -> options.maxNewTokens(8))
			.map((chunk) -> "chunk")
			.collectList()
			.toFuture();
		assertThat(early).isNotDone();
		assertThat(running).isNotDone();
		download.countDown();
		try (ConfigurableApplicationContext ready = running.join()) {
			assertThat(availability.getReadinessState()).isEqualTo(ReadinessState.ACCEPTING_TRAFFIC);
			assertThat(ready.getBean(ServedModel.class).status().state()).isEqualTo(ModelStatus.State.USABLE);
			assertThat(early.join()).hasSize(2);
		}
	}

	@SpringBootConfiguration
	@EnableAutoConfiguration
	static class Application {

		public static void main(String[] arguments) {
			SpringApplication application = new SpringApplication(Application.class);
			application.setWebApplicationType(WebApplicationType.NONE);
			try (ConfigurableApplicationContext context = application.run(arguments)) {
				int tokens = context.getBean(TextGenerator.class)
					.stream("Two", (options) -> options.maxNewTokens(40))
					.toStream()
					.mapToInt((chunk) -> chunk.tokens().length)
					.sum();
				System.out.println("It has said " + tokens + " tokens.");
			}
		}

	}

}

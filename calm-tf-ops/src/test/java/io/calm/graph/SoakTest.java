package io.calm.graph;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ModelDirectory;
import io.calm.generation.GenerationEngine;
import io.calm.generation.MixedTraffic;
import io.calm.input.InvalidInputException;
import io.calm.model.ModelFiles;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.text.TokenStore;
import io.calm.training.StepMetrics;
import io.calm.training.Trainable;
import io.calm.training.Trainer;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Native memory does not grow with what is done. Measured as the resident memory of a
 * process of its own, whose Java heap is resident from the beginning, so that it cannot
 * be taken for native memory.
 */
@EnabledIf("canMeasure")
class SoakTest {

	private static final Path STATUS = Path.of("/proc/self/status");

	private static final long MEBIBYTE = 1 << 20;

	/**
	 * What compiled code, class data and the reserves of malloc add after the warm-up is
	 * below 1 MiB.
	 */
	private static final long NOISE = 4 * MEBIBYTE;

	/** 256 KiB. */
	private static final int VALUES = 1 << 16;

	static boolean canMeasure() {
		return Files.isReadable(STATUS);
	}

	@Test
	void nativeMemoryIsFlat(@TempDir Path directory) throws IOException, InterruptedException {
		Map<String, Long> growth = growth(directory);
		assertThat(growth).containsOnlyKeys("programs", "calls", "open calls", "training", "generation", "refused",
				"traffic");
		// 20 programs with a variable of 4 MiB
		assertThat(growth.get("programs")).as("bytes kept of 80 MiB in programs").isLessThan(NOISE);
		assertThat(growth.get("calls")).as("bytes kept of 500 MiB in the results of 2000 calls").isLessThan(NOISE);
		// the tokens alone are 16 KiB
		assertThat(growth.get("training")).as("bytes kept of 6 MiB or more in 400 steps").isLessThan(NOISE);
		// one result is too small to be seen, but not a graph or a cache that grows
		assertThat(growth.get("generation")).as("bytes kept by 200 patches").isLessThan(NOISE);
		// malloc keeps the room of one or two caches of 8 MiB at times, and no more with
		// more models
		assertThat(growth.get("refused")).as("bytes kept of 80 MiB of models that are refused")
			.isLessThan(24 * MEBIBYTE);
		assertThat(growth.get("traffic")).as("bytes kept by the last 500 requests").isLessThan(NOISE);
		// or nothing above would prove anything
		assertThat(growth.get("open calls")).as("bytes kept of 100 MiB in 400 calls that are not closed")
			.isGreaterThan(90 * MEBIBYTE);
	}

	private static Map<String, Long> growth(Path directory) throws IOException, InterruptedException {
		Process child = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
				"-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
				"-Dcalm.long=" + Boolean.getBoolean("calm.long"), "-cp", System.getProperty("java.class.path"),
				Soak.class.getName(), directory.toString())
			.redirectErrorStream(true)
			.start();
		Map<String, Long> growth = new LinkedHashMap<>();
		StringBuilder all = new StringBuilder();
		try (BufferedReader output = child.inputReader(StandardCharsets.UTF_8)) {
			output.lines().forEach((line) -> {
				all.append(line).append('\n');
				if (line.startsWith("growth\t")) {
					String[] parts = line.split("\t");
					growth.put(parts[1], Long.valueOf(parts[2]));
				}
			});
			assertThat(child.waitFor()).as("exit status of the child\n" + all).isZero();
		}
		finally {
			child.destroyForcibly();
		}
		return growth;
	}

	/** The process that is measured. */
	static final class Soak {

		private Soak() {
		}

		public static void main(String[] arguments) {
			Path directory = Path.of(arguments[0]);
			report("programs", 5, 20, Soak::program);
			calls();
			report("training", training(directory.resolve("autoencoder")));
			generation(directory.resolve("model"));
			refused(directory.resolve("model"), directory.resolve("integers"));
			traffic(directory.resolve("model"));
		}

		private static void program() {
			List<Variable> variables = new ArrayList<>();
			try (Program program = Program.build(TinyModel.PROGRAM, (builder) -> variables
				.add(builder.network().variables().declare("large", Initializer.ONES, 16L * VALUES)))) {
				program.initialize(program.variables((name) -> true), 1);
			}
		}

		private static void calls() {
			try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
				var x = builder.floats();
				Fetch<float[]> large = Fetch.floats(
						builder.network().tf().fill(builder.network().tf().constant(new int[] { VALUES }), x.value()));
				EntryPoint fill = builder.entryPoint().fetching(large);
				try (Program program = builder.build()) {
					report("calls", 200, 2000, () -> program.call(fill).feed(x, new float[] { 1 }).run().close());
					List<Call> open = new ArrayList<>();
					report("open calls", 0, 400, () -> open.add(program.call(fill).feed(x, new float[] { 1 }).run()));
					open.forEach(Call::close);
				}
			}
		}

		private static long training(Path directory) {
			List<Long> resident = new ArrayList<>();
			TrainingOptions options = TrainingOptions
				.of((training) -> training.steps(600).batch(32).patches(32).checkpointEvery(0).evaluateEvery(0));
			AutoencoderConfig small = AutoencoderConfig.builder(8)
				.hiddenSize(8)
				.intermediateSize(8)
				.latentSize(8)
				.build();
			try (TokenStore text = TokenStore.of(new Random(1).ints(4096, 3, 8).toArray())) {
				new Trainer(Trainable.autoencoder(small), options, TinyModel.PROGRAM, List.of(new TrainingListener() {
					@Override
					public void onStep(StepMetrics metrics) {
						// at step 100 the machine's speed is measured, which takes memory
						if (metrics.step() == 200 || metrics.step() == 600) {
							resident.add(residentBytes());
						}
					}
				})).train(text, directory, new ByteTokenizer()::save);
			}
			return resident.get(1) - resident.get(0);
		}

		private static void generation(Path directory) {
			// EOS never comes up
			TinyModel.write(directory, TinyModel.autoencoder().build(), 0.25f, 0);
			try (GenerationEngine engine = GenerationEngine.open(directory,
					(options) -> options.context(50).program(TinyModel.PROGRAM))) {
				report("generation", 1, 4, () -> {
					long patches = engine.generate("", (request) -> request.maxNewTokens(50 * 4)).stream().count();
					if (patches != 50) {
						throw new IllegalStateException("there are " + patches + " patches");
					}
				});
			}
		}

		/** What is wrong with their weights shows when they are read. */
		private static void refused(Path model, Path integers) {
			try {
				Files.createDirectory(integers);
				for (String file : List.of(ModelDirectory.CONFIG, "tokenizer.json", "tokenizer_config.json")) {
					Files.copy(model.resolve(file), integers.resolve(file));
				}
				String weights = Files.readString(model.resolve(ModelFiles.WEIGHTS), StandardCharsets.ISO_8859_1);
				Files.writeString(integers.resolve(ModelFiles.WEIGHTS),
						weights.replace("calm.crc32c", "no.checksum").replaceFirst("\"F32\"", "\"I32\""),
						StandardCharsets.ISO_8859_1);
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
			// 8 MiB of cache each
			report("refused", 6, 10, () -> {
				try {
					GenerationEngine
						.open(integers, (options) -> options.slots(16).context(2048).program(TinyModel.PROGRAM))
						.close();
					throw new IllegalStateException("it opens");
				}
				catch (InvalidInputException ex) {
					// as it should be
				}
			});
		}

		private static void traffic(Path model) {
			long[] resident = new long[2];
			try (GenerationEngine engine = GenerationEngine.open(model,
					(options) -> options.slots(8).context(50).program(TinyModel.PROGRAM))) {
				// oneDNN keeps what it has made for each number of rows, up to a limit;
				// most
				// of it is made in the first 400 requests
				int warmUp = Boolean.getBoolean("calm.long") ? 3000 : 500;
				MixedTraffic.forgotten(engine, warmUp + 500, (ended) -> {
					if (ended == warmUp) {
						resident[0] = residentBytes();
					}
				});
				resident[1] = residentBytes();
			}
			report("traffic", resident[1] - resident[0]);
		}

		private static void report(String what, int warmUp, int times, Runnable action) {
			for (int i = 0; i < warmUp; i++) {
				action.run();
			}
			long before = residentBytes();
			for (int i = 0; i < times; i++) {
				action.run();
			}
			report(what, residentBytes() - before);
		}

		private static void report(String what, long growth) {
			System.out.println("growth\t" + what + "\t" + growth);
		}

		private static long residentBytes() {
			try {
				return Files.readAllLines(STATUS)
					.stream()
					.filter((line) -> line.startsWith("VmRSS:"))
					.mapToLong((line) -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
					.findFirst()
					.orElseThrow();
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}

	}

}

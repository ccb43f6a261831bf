package io.calm.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.graph.Device;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

/**
 * Whatever is wrong with the input: one line on standard error that says what, where, and
 * what to do, exit code 2, and no file more or less than before.
 */
class BadInputTest {

	private static final String WEIGHTS = "model.safetensors";

	private static final String CONFIG = "config.json";

	/** More than any refusal takes, far less than what the bad files claim to hold. */
	private static final long MOST_MEMORY = 100 << 20;

	private static Path inputs = Path.of("");

	private final Path directory;

	BadInputTest(@TempDir Path directory) {
		this.directory = directory;
	}

	private static int run(StringWriter out, StringWriter err, String... args) {
		return CalmCommand.commandLine()
			.setOut(new PrintWriter(out, true))
			.setErr(new PrintWriter(err, true))
			.execute(args);
	}

	@BeforeAll
	static void trainTheSmallestModel(@TempDir Path inputs) throws IOException {
		BadInputTest.inputs = inputs;
		write("corpus.txt", "The quick brown fox jumps over the lazy dog. ".repeat(60));
		write("empty.txt", "");
		write("short.txt", "Too short.");
		write("broken.json", "{\"model\": {");
		StringWriter err = new StringWriter();
		assertThat(run(new StringWriter(), err, training(Map.of("--output", input("model"))))).as(err.toString())
			.isZero();
	}

	private static void write(String name, String content) throws IOException {
		Files.writeString(inputs.resolve(name), content);
	}

	private static String input(String name) {
		return inputs.resolve(name).toString();
	}

	private static String[] training(Map<String, String> changed) {
		Map<String, String> options = new LinkedHashMap<>(Map.of("--corpus", input("corpus.txt"), "--tokenizer", "byte",
				"--preset", "nano", "--latent-size", "8", "--autoencoder-size", "64", "--autoencoder-steps", "2",
				"--steps", "2", "--batch", "4", "--block", "64"));
		options.putAll(changed);
		List<String> args = new ArrayList<>(List.of("train", "--quiet", "--no-fusion"));
		options.forEach((name, value) -> args.addAll(List.of(name, value)));
		return args.toArray(String[]::new);
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', textBlock = """
			--corpus           | missing.txt  | missing.txt: there is no such file or directory; name a file
			--corpus           | empty.txt    | empty.txt: there is no text in it
			--corpus           | short.txt    | corpus: it is shorter than one block: 12 tokens
			--tokenizer        | missing.json | missing.json: there is no such file; name a tokenizer.json
			--tokenizer        | broken.json  | broken.json is not JSON
			--output           | model        | model exists already; give another output directory
			--preset           | gigantic     | preset gigantic is not known; choose one of nano, micro
			--patch-size       | 0            | patch_size is 0; choose a number from 1
			--latent-size      | 2000000000   | latent_size is 2000000000; choose a number from 1
			--autoencoder-size | 800000000    | hidden_size is 800000000; choose a number from 1
			--sampling-steps   | 10           | --sampling-steps is for the flow and the diffusion head
			--solver           | euler        | --solver is for the flow head; add --head flow
			--alpha            | 0            | alpha is 0.0; choose a value strictly between 0 and 2
			--alpha            | 2            | alpha is 2.0; choose a value strictly between 0 and 2
			--patch-size       | 3            | --block 64 is not two or more whole patches of 3 tokens
			--patch-size       | 64           | --block 64 is not two or more whole patches of 64 tokens
			--input            | pictures     | Invalid value for option '--input'
			--steps            | -1           | training, steps is -1; choose at least
			""")
	void trainingNeverBegins(String option, String value, String message) throws IOException {
		Map<String, String> changed = new LinkedHashMap<>();
		changed.put("--output", this.directory.resolve("deep/model").toString());
		boolean path = List.of("--corpus", "--tokenizer", "--output").contains(option);
		changed.put(option, path ? input(value) : value);
		assertRefused(message, training(changed));
	}

	/** Else a user would learn of them when the autoencoder is trained, an hour later. */
	@ParameterizedTest
	@CsvSource(delimiter = '|', textBlock = """
			--samples 1                               | samples is 1; choose
			--samples 0 --head flow                   | samples is 0; choose
			--targets 0                               | targets is 0; choose
			--targets 5 --head flow                   | --targets is for the energy head; leave it out
			--alpha NaN                               | alpha is NaN; choose a value strictly between 0 and 2
			--alpha 1 --head diffusion                | --alpha is for the energy head; leave it out
			--sampling-steps 0 --head flow            | steps is 0; choose
			--sampling-steps 1001 --head diffusion    | steps is 1001; choose
			--steps 0                                 | training, steps is 0; choose at least 1
			--learning-rate 0                         | training, learning rate is 0.0; choose a positive number
			""")
	void whatTheSecondPhaseCannotDoIsRefusedBeforeTheFirst(String options, String message) throws IOException {
		Map<String, String> changed = new LinkedHashMap<>();
		changed.put("--output", this.directory.resolve("deep/model").toString());
		String[] words = options.split(" ");
		for (int i = 0; i < words.length; i += 2) {
			changed.put(words[i], words[i + 1]);
		}
		assertRefused(message, training(changed));
	}

	@Test
	void trainingFromABaseOrFromNoiseIsClear() throws IOException {
		assertRefused("--preset has no meaning with --base; leave one of them out", "train", "--base", input("model"),
				"--preset", "nano", "--corpus", input("corpus.txt"), "--output",
				this.directory.resolve("b").toString());
		assertRefused("--tokenizer is missing; name a tokenizer.json, bpe:4096 or byte, or a model to train further",
				"train", "--corpus", input("corpus.txt"), "--output", this.directory.resolve("b").toString());
		assertRefused("--lora-rank needs a model whose weights stay as they are; name it with --base", "train",
				"--lora-rank", "8", "--tokenizer", "byte", "--corpus", input("corpus.txt"), "--output",
				this.directory.resolve("b").toString());
		assertRefused("--lora-alpha has no meaning with weights that are all trained", "train", "--lora-alpha", "8",
				"--base", input("model"), "--corpus", input("corpus.txt"), "--output",
				this.directory.resolve("b").toString());
		assertRefused("--autoencoder-steps has no meaning with --lora-rank", "train", "--lora-rank", "8", "--base",
				input("model"), "--autoencoder-steps", "5", "--corpus", input("corpus.txt"), "--output",
				this.directory.resolve("b").toString());
		assertRefused("--preset has no meaning with --warm-start", "train", "--warm-start", input("model"), "--preset",
				"nano", "--corpus", input("corpus.txt"), "--output", this.directory.resolve("b").toString());
		assertRefused("model is no Llama; give the directory of one", "train", "--warm-start", input("model"),
				"--corpus", input("corpus.txt"), "--output", this.directory.resolve("b").toString());
		assertRefused("is no adapter; give a directory with adapter_config.json", "merge", input("model"), "--output",
				this.directory.resolve("b").toString());
		assertRefused("missing does not exist", "train", "--base", input("missing"), "--corpus", input("corpus.txt"),
				"--output", this.directory.resolve("b").toString());
		assertRefused("--patience needs text to score the models on; name it with --evaluation-corpus", "train",
				"--base", input("model"), "--patience", "2", "--block", "64", "--corpus", input("corpus.txt"),
				"--output", this.directory.resolve("b").toString());
	}

	@Test
	void whatABaselineHasNotIsRefused() throws IOException {
		String[] options = training(Map.of("--output", this.directory.resolve("deep/model").toString()));
		String[] baseline = Arrays.copyOf(options, options.length + 1);
		baseline[options.length] = "--baseline";
		assertRefused("--latent-size has no meaning with --baseline; leave one of them out", baseline);
		assertRefused("--head has no meaning with --baseline", "known-source", "--baseline", "--head", "flow");
		assertRefused("--samples has no meaning with the baseline", "benchmark", "baseline-step", "--samples", "3");
		assertRefused("--patch-size has no meaning with --baseline", "benchmark", "generate", "--baseline",
				"--patch-size", "3");
		assertRefused("--vocab 258 is less than the ids of the bytes and the special tokens; choose at least 259",
				"benchmark", "generate", "--vocab", "258", "--layers", "1", "--hidden-size", "32", "--heads", "2");
		assertRefused("MODEL is missing; name the model before --corpus", "evaluate", "--corpus", input("corpus.txt"));
		assertRefused("--patch-size has no meaning with this model", "evaluate", input("model"), "--patch-size", "2",
				"--corpus", input("corpus.txt"));
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', textBlock = """
			me/tiny                                 | me/tiny is no name of a model on a hub; write hf:OWNER/NAME
			hf:me/tiny --autoencoder ae             | ae is no name of a model on a hub; write hf:OWNER/NAME
			hf:me/tiny --tokenizer tokenizer.json   | tokenizer.json is no name of a model on a hub
			""")
	void whatIsNoNameIsNotFetched(String options, String message) throws IOException {
		assertRefused(message, ("pull " + options).split(" "));
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', textBlock = """
			--temperature 0             | temperature is 0.0; choose a value above 0 and up to 1
			--temperature 1.01          | temperature is 1.01; choose a value above 0 and up to 1
			--temperature -0.5          | temperature is -0.5; choose a number greater than 0 and at most 1
			--temperature NaN           | temperature is NaN; choose a number greater than 0 and at most 1
			--temperature 2 --exact     | temperature is 2.0; choose a value above 0 and up to 1
			--candidates 0              | candidates is 0; choose from 1 to 10000
			--candidates 500000000      | candidates is 500000000; choose from 1 to 10000
			--top-k 0                   | top-k is 0; choose at least 1
			""")
	void generationNeverBegins(String options, String message) throws IOException {
		assertRefused(message, ("generate " + input("model") + " --quiet " + options).split(" "));
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|',
			textBlock = """
					colour                                 | study colour is not known; choose one of k, regularisation, samples,
					k --block 12                           | --block 12 is not two or more whole patches of 8 tokens
					head --patch-size 0                    | patch_size is 0; choose
					temperature --patch-size 2             | --patch-size 2 is too small for this study
					alpha --minutes 0                      | --minutes is 0.0; choose a positive number
					alpha --steps -3                       | --steps is -3; choose at least 1
					alpha --block 500000                   | text to score on has 400000 tokens, fewer than --block 500000
					alpha --positions 0                    | --positions is 0; choose at least 1
					alpha --autoencoder-share NaN          | --autoencoder-share is NaN; choose a positive number
					alpha --batch 0                        | training, batch is 0; choose at least 1
					alpha --learning-rate -1               | training, learning rate is -1.0; choose a positive number
					alpha --equal minutes                  | Invalid value for option '--equal'
					alpha --preset gigantic                | preset gigantic is not known; choose one of nano
					alpha --states 1                       | Markov source: 1 states; ask for at least 2
					alpha --corpus missing.txt             | --corpus needs --evaluation-corpus too
					""")
	void studyNeverBegins(String options, String message) throws IOException {
		assertRefused(message,
				("ablate " + options + " --quiet --no-fusion --output " + this.directory.resolve("deep/study"))
					.split(" "));
	}

	static Stream<Arguments> brokenFiles() {
		return Stream.of(
				arguments(broken("truncated weights", WEIGHTS, (bytes) -> bytes.limit(bytes.limit() - 1000)),
						"model.safetensors: the tensor '"),
				arguments(broken("weights truncated in their header", WEIGHTS, (bytes) -> bytes.limit(100)),
						"model.safetensors claims a header of"),
				arguments(broken("a bit flipped at the end of the weights", WEIGHTS,
						(bytes) -> flip(bytes, bytes.limit() - 1)), "model.safetensors is damaged"),
				arguments(broken("a bit flipped in the middle of the weights", WEIGHTS,
						(bytes) -> flip(bytes, bytes.limit() / 2)), "model.safetensors is damaged"),
				arguments(broken("a bit flipped in the header", WEIGHTS, (bytes) -> flip(bytes, Long.BYTES + 1)),
						"model.safetensors has a damaged header"),
				arguments(safetensors("a tensor beyond the file", 0, "[1000]", "[0,4000]"),
						"model.safetensors: the tensor 'w' lies at the bytes 0 to 4000 of 4"),
				arguments(safetensors("a tensor of 2^62 elements", 0, "[2147483648,2147483648]", "[0,4]"),
						"model.safetensors: the tensor 'w' has the shape"),
				arguments(safetensors("a header of 2^62 bytes", 1L << 62, "[1]", "[0,4]"),
						"model.safetensors claims a header of 4611686018427387904 bytes"),
				arguments(Named.of("a foreign class in a pickle", (Breakage) (model) -> {
					Files.delete(model.resolve(WEIGHTS));
					Files.write(model.resolve("pytorch_model.bin"), foreignPickle());
				}), "pytorch_model.bin: "),
				arguments(text("no JSON", CONFIG, "model_type: energy"), "config.json is no JSON"),
				arguments(text("an empty object", CONFIG, "{}"), "config.json has no '"),
				arguments(text("a broken tokenizer", "tokenizer.json", "{\"model\": {"), "tokenizer.json is not JSON"),
				arguments(text("a tokenizer without tokens", "tokenizer.json", "{\"model\": {\"vocab\": {}}}"),
						"tokenizer.json has an empty vocabulary"),
				arguments(setting("hidden_size", 1 << 30), "config.json: 'hidden_size' = '1073741824' is out of range"),
				arguments(setting("num_hidden_layers", 1 << 30), "config.json: 'num_hidden_layers' = '1073741824'"),
				arguments(setting("rope_scaling", 2), "config.json: 'rope_scaling' = '2' is no object of settings"),
				arguments(
						json("scaled rotary embedding", CONFIG,
								(settings) -> settings.add("rope_parameters",
										JsonParser.parseString(
												"{'rope_type': 'yarn', 'factor': 4.0, 'rope_theta': 10000.0}"))),
						"config.json: rope_parameters scales the rotary embedding, which is not supported"),
				arguments(json("another activation", CONFIG, (settings) -> settings.addProperty("hidden_act", "gelu")),
						"config.json: hidden_act is gelu, which is not supported"),
				arguments(setting("embedding_multiplier", 12), "config.json: embedding_multiplier is 12.0"),
				arguments(setting("logits_scaling", 8), "config.json: logits_scaling is 8.0"),
				arguments(setting("sliding_window", 16), "config.json: sliding_window is 16"),
				arguments(setting("rms_norm_eps", -1), "config.json: model, rms_norm_eps is -1.0; choose a positive"));
	}

	@ParameterizedTest
	@MethodSource("brokenFiles")
	void noCommandUsesABrokenFile(Breakage breakage, String message) throws IOException {
		Path model = copyOfModel();
		breakage.of(model);
		assertRefused(message, "inspect", model.toString());
		assertRefusedByEvaluateAndGenerate(message, model);
	}

	@Test
	void anAutoencoderGeneratesNothing() throws IOException {
		assertRefused("is no CALM language model; give the directory of one", "generate",
				input("model") + "/autoencoder");
	}

	static Stream<Arguments> mismatches() {
		return Stream.of(
				arguments(vocabulary("a tokenizer with one token more", (tokens) -> tokens.addProperty("ab", 259)),
						"its tokenizer has 260 ids and its model 259; copy the tokenizer"),
				arguments(vocabulary("a tokenizer with one token less", (tokens) -> tokens.remove("\u00ff")),
						"its tokenizer has 258 ids and its model 259; copy the tokenizer"),
				arguments(setting("vocab_size", 260), "its tokenizer has 259 ids and its model 260"),
				arguments(setting("hidden_size", 64), "the tensor transformer.embed_tokens.weight has the shape"),
				arguments(setting("hidden_size", 1 << 24), "config.json asks for [259, 16777216]; give weights"),
				arguments(setting("head_dim", 1 << 24), "head_dim is 16777216 where there are 4 heads"),
				arguments(setting("num_hidden_layers", 3), "the tensor transformer.layers.2.input_layernorm.weight is"),
				arguments(setting("num_hidden_layers", 1024), "is missing; give weights and configuration"),
				arguments(setting("num_hidden_layers", 1), "the tensor transformer.layers.1."),
				arguments(setting("latent_size", 16), "config.json asks for [16, 128]"),
				arguments(setting("patch_size", 5), "the tensor embed_proj.0.weight has the shape [256, 512]"),
				arguments(setting("bos_token_id", 259), "config.json: model, bos_token_id is 259 where the vocabulary"),
				arguments(text("an autoencoder's configuration of another shape", "autoencoder/config.json", """
						{"vocab_size": 259, "patch_size": 4, "hidden_size": 16777216, "intermediate_size": 160,
						"latent_size": 8, "num_encoder_layers": 2, "num_decoder_layers": 2, "pad_token_id": 0,
						"bos_token_id": 1, "eos_token_id": 2}"""), "config.json asks for [259, 16777216]"));
	}

	@ParameterizedTest
	@MethodSource("mismatches")
	void whatDoesNotBelongTogetherIsNotUsed(Breakage breakage, String message) throws IOException {
		Path model = copyOfModel();
		breakage.of(model);
		assertRefusedByEvaluateAndGenerate(message, model);
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|',
			textBlock = """
					--max-new-tokens | 0                        | max new tokens is 0; choose a positive number
					--max-new-tokens | -1                       | max new tokens is -1; choose a positive number
					--prompt         | longer than the context  | prompt is 24 tokens long, BOS included, where the context is 16; shorten
					--context        | 1                        | context is 1; choose at least 2 patches
					--context        | -1                       | context is -1; choose at least 2 patches
					--temperature    | 1.5                      | temperature is 1.5; choose a value above 0 and up to 1
					--temperature    | 0                        | temperature is 0.0; choose a value above 0 and up to 1
					--top-p          | 0.9                      | top-p is 0.9, and a CALM model knows no probabilities
					--top-p          | 0                        | top-p is 0.0; choose a number
					""")
	void generationNeverBegins(String option, String value, String message) throws IOException {
		Map<String, String> options = new LinkedHashMap<>(Map.of("--context", "4"));
		options.put(option, value);
		List<String> args = new ArrayList<>(List.of("generate", input("model")));
		options.forEach((name, argument) -> args.addAll(List.of(name, argument)));
		assertRefused(message, args.toArray(String[]::new));
	}

	@ParameterizedTest
	@ValueSource(strings = { "evaluate", "generate" })
	void missingModel(String command) throws IOException {
		List<String> args = new ArrayList<>(List.of(command, input("nothing")));
		if (command.equals("evaluate")) {
			args.addAll(List.of("--corpus", input("corpus.txt")));
		}
		assertRefused("nothing does not exist; give the directory of a model", args.toArray(String[]::new));
	}

	@Test
	void missingGpu() throws IOException {
		assumeTrue(Device.AUTO.resolve() == Device.CPU, "a machine without a GPU");
		String message = "device gpu: TensorFlow finds no GPU on this machine; use the native artifact";
		String output = this.directory.resolve("model").toString();
		assertRefused(message, training(Map.of("--device", "gpu", "--output", output)));
		assertRefused(message, "evaluate", input("model"), "--device", "gpu", "--corpus", input("corpus.txt"));
		assertRefused(message, "generate", input("model"), "--device", "gpu");
	}

	/**
	 * A limit on the size of files stands in for a full disk: to the writer both are an
	 * error in the middle of a file. The autoencoder's files have 3 MB at most, the
	 * language model's 13 MB.
	 */
	@Test
	void fullDisk() throws IOException, InterruptedException {
		Path output = this.directory.resolve("model");
		Path training = this.directory.resolve("model.training");
		Path checkpoint = training.resolve("autoencoder");
		// the very first checkpoint: not even its directory stays
		assertDiskFull(1024, checkpoint, output, "2");
		assertThat(names(this.directory)).containsExactly("tokens");
		// the language model's first checkpoint, after the autoencoder's
		assertDiskFull(8192, training.resolve("language-model"), output, "2");
		assertThat(names(this.directory)).containsExactly("model.training", "tokens");
		assertThat(names(training)).containsExactly("autoencoder");
		StringWriter report = new StringWriter();
		assertThat(run(report, new StringWriter(), "inspect", checkpoint.toString())).isZero();
		assertThat(report.toString()).contains("autoencoder");
		// the autoencoder's next checkpoint, over the one that is there
		Map<String, String> before = contents(this.directory);
		assertDiskFull(1024, checkpoint, output, "4");
		assertThat(contents(this.directory)).isEqualTo(before);
		// with room again, the training goes on from there
		StringWriter err = new StringWriter();
		assertThat(run(new StringWriter(), err, training(Map.of("--output", output.toString())))).as(err.toString())
			.isZero();
		assertThat(names(this.directory)).containsExactly("model", "tokens");
	}

	private void assertDiskFull(int kilobytes, Path written, Path output, String steps)
			throws IOException, InterruptedException {
		assumeTrue(Files.isExecutable(Path.of("/bin/bash")), "a system with /bin/bash, for its ulimit -f");
		Path temporary = Files.createDirectory(inputs.resolve("tmp-" + System.nanoTime()));
		List<String> command = new ArrayList<>(List.of("/bin/bash", "-c", "ulimit -f \"$0\" && exec \"$@\"",
				String.valueOf(kilobytes), ProcessHandle.current().info().command().orElseThrow(), "-Xmx512m",
				"-XX:TieredStopAtLevel=1", "-Djava.io.tmpdir=" + temporary));
		if (Runtime.version().feature() >= 24) {
			// what such a JDK has to say of TensorFlow Java on standard error
			command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"));
		}
		command.addAll(List.of("-cp", System.getProperty("java.class.path"), CalmCommand.class.getName()));
		command.addAll(List.of(training(Map.of("--output", output.toString(), "--autoencoder-steps", steps))));
		Path out = inputs.resolve("out");
		Path err = inputs.resolve("err");
		Process process = new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile()).start();
		assertThat(process.waitFor(3, TimeUnit.MINUTES)).isTrue();
		assertThat(out).isEmptyFile();
		// nor has TensorFlow a line of its own
		assertThat(Files.readAllLines(err)).singleElement()
			.asString()
			.startsWith("calm: " + written.getParent())
			.contains("/." + written.getFileName() + ".tmp-",
					"cannot be written: File too large; check the free space");
		assertThat(process.exitValue()).isEqualTo(2);
		assertThat(names(temporary)).noneMatch((name) -> name.startsWith("calm"));
	}

	private void assertRefusedByEvaluateAndGenerate(String message, Path model) throws IOException {
		assertRefused(message, "evaluate", model.toString(), "--corpus", input("corpus.txt"));
		assertRefused(message, "generate", model.toString());
	}

	private void assertRefused(String message, String... args) throws IOException {
		Map<String, String> before = contents(this.directory);
		StringWriter out = new StringWriter();
		StringWriter err = new StringWriter();
		var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
		long allocated = threads.getCurrentThreadAllocatedBytes();
		int exitCode = run(out, err, args);
		assertThat(threads.getCurrentThreadAllocatedBytes() - allocated).isLessThan(MOST_MEMORY);
		assertThat(err.toString().lines()).singleElement()
			.asString()
			.startsWith("calm: ")
			.contains(message)
			.matches(".+: .+; .+");
		assertThat(exitCode).isEqualTo(2);
		assertThat(out.toString()).isEmpty();
		assertThat(contents(this.directory)).isEqualTo(before);
	}

	/**
	 * Every path below a directory, with the checksum and time of the files. The tokens
	 * of a text that is good are left for the next try.
	 */
	private static Map<String, String> contents(Path directory) throws IOException {
		Map<String, String> contents = new TreeMap<>();
		try (Stream<Path> paths = Files.walk(directory)) {
			for (Path path : paths.filter((each) -> !each.equals(directory)).toList()) {
				String name = directory.relativize(path).toString();
				if ((name + "/").matches("(.*/)?tokens/.*")
						|| Files.isDirectory(path) && names(path).equals(List.of("tokens"))) {
					continue;
				}
				String content = "directory";
				if (Files.isRegularFile(path)) {
					content = checksum(Files.readAllBytes(path)).getValue() + " " + Files.getLastModifiedTime(path);
				}
				contents.put(name, content);
			}
		}
		return contents;
	}

	private static List<String> names(Path directory) throws IOException {
		try (Stream<Path> paths = Files.list(directory)) {
			return paths.map((path) -> path.getFileName().toString()).sorted().toList();
		}
	}

	private Path copyOfModel() throws IOException {
		Path source = inputs.resolve("model");
		Path copy = this.directory.resolve("copy");
		try (Stream<Path> paths = Files.walk(source)) {
			for (Path path : paths.toList()) {
				Files.copy(path, copy.resolve(source.relativize(path).toString()));
			}
		}
		return copy;
	}

	private interface Breakage {

		void of(Path model) throws IOException;

	}

	private static Named<Breakage> broken(String name, String file, Consumer<ByteBuffer> change) {
		return Named.of(name, (model) -> {
			ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(model.resolve(file)));
			change.accept(bytes);
			byte[] changed = new byte[bytes.remaining()];
			bytes.get(changed);
			Files.write(model.resolve(file), changed);
		});
	}

	private static void flip(ByteBuffer bytes, int position) {
		bytes.put(position, (byte) (bytes.get(position) ^ 1));
	}

	/** Four bytes of data behind a header that claims what it likes. */
	private static Named<Breakage> safetensors(String name, long headerLength, String shape, String offsets) {
		byte[] header = "{\"w\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":%s}}".formatted(shape, offsets)
			.getBytes(StandardCharsets.UTF_8);
		ByteBuffer bytes = ByteBuffer.allocate(Long.BYTES + header.length + Float.BYTES)
			.order(ByteOrder.LITTLE_ENDIAN)
			.putLong((headerLength != 0) ? headerLength : header.length)
			.put(header);
		return Named.of(name, (model) -> Files.write(model.resolve(WEIGHTS), bytes.array()));
	}

	private static Named<Breakage> text(String name, String file, String content) {
		return Named.of(name, (model) -> Files.writeString(model.resolve(file), content));
	}

	private static Named<Breakage> setting(String key, Number value) {
		return json(key + " " + value, CONFIG, (settings) -> settings.addProperty(key, value));
	}

	private static Named<Breakage> vocabulary(String name, Consumer<JsonObject> change) {
		return json(name, "tokenizer.json",
				(tokenizer) -> change.accept(tokenizer.getAsJsonObject("model").getAsJsonObject("vocab")));
	}

	private static Named<Breakage> json(String name, String file, Consumer<JsonObject> change) {
		return Named.of(name, (model) -> {
			JsonObject json = JsonParser.parseString(Files.readString(model.resolve(file))).getAsJsonObject();
			change.accept(json);
			Files.writeString(model.resolve(file), json.toString());
		});
	}

	/**
	 * What runs a command where pickle is trusted: the call {@code os.system("exit")}.
	 */
	private static byte[] foreignPickle() throws IOException {
		byte[] pickle = "\u0080\u0002cos\nsystem\nX\u0004\u0000\u0000\u0000exit\u0085R."
			.getBytes(StandardCharsets.ISO_8859_1);
		ByteArrayOutputStream archive = new ByteArrayOutputStream();
		try (OutputStream out = archive; ZipOutputStream zip = new ZipOutputStream(out)) {
			ZipEntry entry = new ZipEntry("archive/data.pkl");
			entry.setMethod(ZipEntry.STORED);
			entry.setSize(pickle.length);
			entry.setCrc(checksum(pickle).getValue());
			zip.putNextEntry(entry);
			zip.write(pickle);
		}
		return archive.toByteArray();
	}

	private static CRC32 checksum(byte[] bytes) {
		CRC32 checksum = new CRC32();
		checksum.update(bytes);
		return checksum;
	}

}

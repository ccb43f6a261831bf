package io.calm.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * What the command line makes of a server that is away; calm-mlflow has the tests with
 * one that is there.
 */
class MlflowCommandTest {

	private final StringWriter err = new StringWriter();

	private final Path directory;

	private final String nobody;

	MlflowCommandTest(@TempDir Path directory) throws IOException {
		this.directory = directory;
		try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
			// closed again: nobody listens there
			this.nobody = "http://127.0.0.1:" + socket.getLocalPort();
		}
	}

	private int run(String... args) {
		return CalmCommand.commandLine()
			.setOut(new PrintWriter(new StringWriter(), true))
			.setErr(new PrintWriter(this.err, true))
			.execute(args);
	}

	@Test
	void trainingIsRecordedForLater() throws IOException {
		Path corpus = Files.writeString(this.directory.resolve("corpus.txt"),
				"The quick brown fox jumps over the lazy dog. ".repeat(60));
		Path output = this.directory.resolve("model");
		assertThat(run("train", "--quiet", "--no-fusion", "--corpus", corpus.toString(), "--tokenizer", "byte",
				"--preset", "nano", "--latent-size", "8", "--autoencoder-size", "64", "--autoencoder-steps", "2",
				"--steps", "2", "--batch", "4", "--block", "64", "--output", output.toString(), "--mlflow", this.nobody,
				"--sample", "A fox", "--sample", "A dog"))
			.as(this.err.toString())
			.isZero();
		assertThat(output.resolve("model.safetensors")).exists();
		Path spool = this.directory.resolve("mlflow-spool");
		try (Stream<Path> files = Files.list(spool)) {
			List<Path> lines = files.filter((file) -> file.toString().endsWith(".jsonl")).toList();
			assertThat(lines).hasSize(1);
			assertThat(lines.get(0)).content()
				.contains("\"run\":\"autoencoder\"", "\"run\":\"language-model\"", "\"step\":2,\"values\":{\"loss\":")
				// for these somebody has asked
				.contains("\"path\":\"samples/step-00000002.txt\"", "Prompt: A fox\\nText: ", "Prompt: A dog\\nText: ")
				.doesNotContain("quick brown");
		}
		assertThat(run("mlflow-replay", "--spool", spool.toString(), "--tracking-uri", this.nobody)).isEqualTo(2);
		assertThat(this.err.toString().lines()).singleElement()
			.asString()
			.startsWith("calm: " + this.nobody + " cannot be reached")
			.endsWith("start the server, or check the address, proxies and firewalls");
	}

	@Test
	void spoolThatIsNotThere() {
		assertThat(run("mlflow-replay", "--spool", this.directory.resolve("none").toString(), "--tracking-uri",
				this.nobody))
			.isEqualTo(2);
		assertThat(this.err.toString().lines()).singleElement().asString().contains("none does not exist");
	}

	@Test
	void addressOfNoServer() {
		assertThat(run("mlflow-replay", "--spool", this.directory.toString(), "--tracking-uri", "mlruns")).isEqualTo(2);
		assertThat(this.err.toString().lines()).singleElement()
			.asString()
			.contains("mlruns is no address of a tracking server");
	}

}

package io.calm.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Which connections last: none of a client that says nothing or does not come to an end,
 * and none when the service ends.
 */
class ServeConnectionsTest {

	private static final String HEAD = "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
			+ "Content-Type: application/json\r\n";

	private static final String ENDLESS = withBody(
			"{\"stream\":true,\"max_tokens\":100000,\"temperature\":0.5,\"candidates\":10000}");

	private static final int PATIENCE_SECONDS = 1;

	private static RunningServe serve;

	private static Path log = Path.of("");

	@BeforeAll
	static void start(@TempDir Path directory) throws IOException {
		log = directory.resolve("serve.log");
		serve = RunningServe.start(Map.of("SERVER_NETTY_IDLETIMEOUT", PATIENCE_SECONDS + "s", "CALM_HTTP_BODYTIMEOUT",
				PATIENCE_SECONDS + "s"), RunningServe.tinyModel(directory), directory);
	}

	@AfterAll
	static void stop() {
		if (serve != null) {
			serve.close();
		}
	}

	private static String withBody(String body) {
		return HEAD + "Content-Length: " + body.length() + "\r\n\r\n" + body;
	}

	private static Socket connect(String beginning) throws IOException {
		return connect(serve, beginning);
	}

	private static Socket connect(RunningServe service, String beginning) throws IOException {
		Socket socket = new Socket(InetAddress.getLoopbackAddress(), URI.create(service.api()).getPort());
		socket.setSoTimeout(60_000);
		socket.getOutputStream().write(beginning.getBytes(StandardCharsets.US_ASCII));
		return socket;
	}

	@ParameterizedTest
	@ValueSource(strings = { "", HEAD })
	void aRequestThatDoesNotBegin(String beginning) throws IOException {
		try (Socket socket = connect(beginning)) {
			assertThat(socket.getInputStream().readAllBytes()).isEmpty();
		}
	}

	@Test
	void aRequestThatDoesNotEnd() throws IOException {
		try (Socket socket = connect(HEAD + "Content-Length: 1000\r\n\r\n{\"prompt\":")) {
			String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
			assertThat(answer).startsWith("HTTP/1.1 408 ").contains("\"request_timeout\"");
		}
		assertThat(log).as("what went wrong, according to the service").isEmptyFile();
	}

	@Test
	void aTextMayTakeItsTime() throws IOException {
		try (Socket socket = connect(ENDLESS)) {
			InputStream answer = socket.getInputStream();
			long end = System.nanoTime() + 3_000_000_000L * PATIENCE_SECONDS;
			while (System.nanoTime() < end) {
				assertThat(answer.read()).isNotNegative();
			}
		}
	}

	@Test
	void aServiceThatEndsSaysSo(@TempDir Path directory) throws IOException {
		RunningServe ending = RunningServe.start(RunningServe.tinyModel(directory), directory, false);
		try (ending; Socket socket = connect(ending, ENDLESS)) {
			BufferedReader answer = new BufferedReader(
					new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
			assertThat(answer.readLine()).startsWith("HTTP/1.1 200 ");
			ending.close();
			assertThat(answer.lines().filter((line) -> line.startsWith("data: "))).last()
				.asString()
				.startsWith("data: {\"error\":")
				.contains("model_unavailable");
		}
		assertThat(directory.resolve("serve.log")).isEmptyFile();
	}

}

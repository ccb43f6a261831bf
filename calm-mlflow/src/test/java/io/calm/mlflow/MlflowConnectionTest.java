package io.calm.mlflow;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Base64;
import java.util.Map;

import com.sun.net.httpserver.HttpServer;
import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import static io.calm.mlflow.FakeTraining.LANGUAGE_MODEL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class MlflowConnectionTest {

	private final Path directory;

	MlflowConnectionTest(@TempDir Path directory) {
		this.directory = directory;
	}

	private static MlflowConnection of(Map<String, String> environment) {
		return new MlflowConnection.Builder(environment).build().orElseThrow();
	}

	@Test
	void environmentOfMlflowsTools() {
		assertThat(new MlflowConnection.Builder(Map.of()).build()).isEmpty();
		MlflowConnection basic = of(Map.of("MLFLOW_TRACKING_URI", "http://localhost:5000/", "MLFLOW_TRACKING_USERNAME",
				"joe", "MLFLOW_TRACKING_PASSWORD", "s3cret"));
		assertThat(basic.trackingUri()).hasToString("http://localhost:5000");
		assertThat(basic.authorization()).isEqualTo("Basic am9lOnMzY3JldA==");
		MlflowConnection bearer = of(
				Map.of("MLFLOW_TRACKING_URI", "https://mlflow.example.org/path", "MLFLOW_TRACKING_TOKEN", "t0ken"));
		assertThat(bearer.trackingUri()).hasToString("https://mlflow.example.org/path");
		assertThat(bearer.authorization()).isEqualTo("Bearer t0ken");
	}

	@Test
	void optionsGoBeforeTheEnvironment() {
		MlflowConnection connection = new MlflowConnection.Builder(Map.of("MLFLOW_TRACKING_URI", "http://one",
				"MLFLOW_TRACKING_USERNAME", "joe", "MLFLOW_TRACKING_PASSWORD", "s3cret"))
			.trackingUri("http://two")
			.token("t0ken")
			.build()
			.orElseThrow();
		assertThat(connection.trackingUri()).hasToString("http://two");
		assertThat(connection.authorization()).isEqualTo("Bearer t0ken");
	}

	@Test
	void secretsAreMasked() {
		MlflowConnection connection = MlflowConnection.to("http://joe:s3cret@localhost:5000");
		assertThat(connection.authorization()).isEqualTo("Basic am9lOnMzY3JldA==");
		assertThat(connection.trackingUri()).hasToString("http://localhost:5000");
		assertThat(connection).hasToString("http://localhost:5000 with credentials");
		assertThat(connection.mask("s3cret am9lOnMzY3JldA== ftp://jim:other@host")).isEqualTo("*** *** ftp://***@host");
		assertThat(connection.mask("see http://jim:o/t@her@host/a, ok")).isEqualTo("see http://***@host/a, ok");
	}

	@ParameterizedTest
	@ValueSource(strings = { "mlruns", "file:///srv/mlruns", "databricks", "sqlite:///mlflow.db", "http://",
			"http://a b", "localhost:5000" })
	void addressesOfNoServer(String uri) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> MlflowConnection.to(uri))
			.withMessageContaining(uri)
			.withMessageContaining("mlflow server");
	}

	@ParameterizedTest
	@ValueSource(strings = { "ftp://joe:s3cr-et@host", "http://joe:s3cr/et@host:5000", "http://joe:s3cr@et@host",
			"http://joe:s3cr et@host", "joe:s3cr-et@host:5000", "http:joe:s3cr-et@host", "http:/joe:s3cr-et@host",
			"http//joe:s3cr-et@host", "http://joe:s3cr?et@host", "http://joe:s3cr#et@host", "http://joe:s3cr%et@host",
			"http://joe:s3cr-et%40host", "http://joe:s3cr-et", "http://joe:s3cr-et/path", "http://joe:s3cr-et@",
			"http://joe:s3cr-et@host:port", "http://joe:s3cr-et@host:99999", "http://joe:s3cr-et@ho st",
			"http://joe:s3cr\\et@host", "http://joe:s3cr\net@host", "http://joe:s3cr[et@host", "joe:s3cr-et",
			"http://joe:12/s3cr-et@host", "http://joe:12#s3cr-et@host", "http://joe:12?s3cr-et@host",
			"http://joe:12?s3cr-et", "http://joe:s3cr-et@mlflow_server:5000", "http://host/?token=s3cr-et",
			"http://s3cr-et@", "postgresql://joe:s3cr/et@host/db", "http://joe:s3cr/e@t@host/a@b" })
	void noPartOfAPasswordIsShown(String uri) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> MlflowConnection.to(uri))
			.satisfies((ex) -> {
				StringWriter trace = new StringWriter();
				ex.printStackTrace(new PrintWriter(trace));
				assertThat(trace.toString().lines().filter((line) -> !line.startsWith("\tat ")))
					.noneMatch((line) -> line.matches(".*(s3cr|\\bet\\b|12).*"));
			});
	}

	@Test
	void passwordThatIsNotEncodedIsExplained() {
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> MlflowConnection.to("http://joe:pa/ss@host"))
			.withMessageContaining("%2F")
			.withMessageContaining("MLFLOW_TRACKING_PASSWORD");
		MlflowConnection encoded = MlflowConnection.to("http://joe%3Aname:p%2Fa+%40%20%C3%A4@host:5000");
		assertThat(encoded.authorization()).isEqualTo("Basic "
				+ Base64.getEncoder().encodeToString("joe:name:p/a+@ \u00e4".getBytes(StandardCharsets.UTF_8)));
		assertThat(encoded.mask("p%2Fa+%40%20%C3%A4 and p/a+@ \u00e4")).isEqualTo("*** and ***");
	}

	@ParameterizedTest
	@CsvSource({ "HTTP://localhost:5000,http://localhost:5000", "Https://Host/Team%20a/,https://Host/Team%20a",
			"http://localhost:5000/#/experiments/1,http://localhost:5000", "http://[::1]:5000,http://[::1]:5000",
			"http://localhost:,http://localhost", "http://host/t\u00e4,http://host/t%C3%A4",
			"' http://host ',http://host" })
	void addressesAsTheyAreWritten(String given, String used) {
		assertThat(MlflowConnection.to(given).trackingUri()).hasToString(used);
	}

	@ParameterizedTest
	@CsvSource({ "http://mlflow_server:5000,underscore in the host name mlflow_server", "http://host:99999,port",
			"http://host:0,port", "http://host/?a=b,question mark", "http://host:port,port" })
	void addressThatCannotBeUsedIsExplained(String uri, String reason) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> MlflowConnection.to(uri))
			.withMessageContaining(reason);
	}

	@Test
	void whatIsEmptyIsNotSet() {
		MlflowConnection bearer = of(Map.of("MLFLOW_TRACKING_URI", "http://h", "MLFLOW_TRACKING_USERNAME", "",
				"MLFLOW_TRACKING_PASSWORD", "", "MLFLOW_TRACKING_TOKEN", "t", "MLFLOW_TRACKING_SERVER_CERT_PATH", ""));
		assertThat(bearer.authorization()).isEqualTo("Bearer t");
		// half a pair, as MLflow's own tools have it
		assertThat(of(Map.of("MLFLOW_TRACKING_URI", "http://h", "MLFLOW_TRACKING_USERNAME", "joe",
				"MLFLOW_TRACKING_PASSWORD", " ", "MLFLOW_TRACKING_TOKEN", "t"))
			.authorization()).isEqualTo("Bearer t");
		assertThat(of(Map.of("MLFLOW_TRACKING_URI", "http://@h", "MLFLOW_TRACKING_USERNAME", " ",
				"MLFLOW_TRACKING_TOKEN", ""))
			.authorization()).isNull();
		assertThat(new MlflowConnection.Builder(Map.of("MLFLOW_TRACKING_URI", "http://h", "MLFLOW_TRACKING_TOKEN", "t"))
			.trackingUri("")
			.token("")
			.basic("", "")
			.build()
			.orElseThrow()).satisfies((connection) -> {
				assertThat(connection.trackingUri()).hasToString("http://h");
				assertThat(connection.authorization()).isEqualTo("Bearer t");
			});
		assertThat(new MlflowConnection.Builder(Map.of("MLFLOW_TRACKING_URI", " ")).build()).isEmpty();
	}

	@Test
	void emptyOptionsAreThoseThatAreNotSet() {
		MlflowOptions options = MlflowOptions.of(
				Map.of("MLFLOW_EXPERIMENT_NAME", "", "MLFLOW_EXPERIMENT_ID", "", "MLFLOW_RUN_ID", " "),
				(each) -> each.run("").dataset(""));
		assertThat(options.experiment()).isEqualTo("Default");
		assertThat(options.experimentId()).isEmpty();
		assertThat(options.runId()).isEmpty();
		assertThat(options.run()).isEmpty();
		assertThat(options.dataset()).isEqualTo("corpus");
		MlflowOptions ofEnvironment = MlflowOptions.of(
				Map.of("MLFLOW_EXPERIMENT_NAME", "stories", "MLFLOW_RUN_ID", "7"),
				(each) -> each.experiment("").runId("").experimentId(""));
		assertThat(ofEnvironment.experiment()).isEqualTo("stories");
		assertThat(ofEnvironment.runId()).contains("7");
	}

	@Test
	void serverThatAsksForAPassword() throws Exception {
		Path data = Files.createDirectory(this.directory.resolve("server"));
		Path config = Files.writeString(data.resolve("auth.ini"), """
				[mlflow]
				default_permission = READ
				database_uri = sqlite:///%s/auth.db
				admin_username = admin
				admin_password = a-l0ng-passw0rd
				authorization_function = mlflow.server.auth:authenticate_request_basic_auth
				""".formatted(data));
		try (MlflowServer server = MlflowServer.start(data,
				Map.of("MLFLOW_AUTH_CONFIG_PATH", config.toString(), "MLFLOW_FLASK_SERVER_SECRET_KEY", "of-this-test"),
				"--app-name", "basic-auth")) {
			assertThatExceptionOfType(InvalidInputException.class).isThrownBy(
					() -> MlflowRegistry.of(MlflowConnection.to(server.uri()), this.directory).find("models:/none/1"))
				.withMessageContaining("MLFLOW_TRACKING_USERNAME");
			// first without, which the server refuses, then with
			for (String password : new String[] { "wr0ng-passw0rd", "a-l0ng-passw0rd" }) {
				MlflowListener listener = MlflowListener.of((options) -> options.experiment("auth")
					.connection((to) -> to.trackingUri(server.uri()).basic("admin", password))
					.spool(this.directory.resolve(password))
					.closeTimeout(Duration.ofSeconds(password.startsWith("a") ? 60 : 1)));
				new FakeTraining(listener, this.directory).phase(LANGUAGE_MODEL, 5);
				listener.close();
				assertThat(listener.status().orElseThrow().complete()).isEqualTo(password.startsWith("a"));
			}
			Tracked.of(server.uri(), "admin", "a-l0ng-passw0rd", "auth").assertLosses(LANGUAGE_MODEL, 5);
		}
	}

	@Test
	void bearerToken() throws IOException {
		HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
		server.createContext("/", (exchange) -> {
			boolean known = "Bearer t0ken".equals(exchange.getRequestHeaders().getFirst("Authorization"));
			byte[] body = (known ? "{\"experiment\":{\"experiment_id\":\"7\"}}" : "no t0ken2 here")
				.getBytes(StandardCharsets.UTF_8);
			exchange.sendResponseHeaders(known ? 200 : 401, body.length);
			exchange.getResponseBody().write(body);
			exchange.close();
		});
		server.start();
		try {
			String uri = "http://127.0.0.1:" + server.getAddress().getPort();
			assertThat(
					new MlflowApi(MlflowConnection.of((to) -> to.trackingUri(uri).token("t0ken"))).experiment("7", ""))
				.isEqualTo("7");
			MlflowApi wrong = new MlflowApi(MlflowConnection.of((to) -> to.trackingUri(uri).token("t0ken2")));
			assertThatExceptionOfType(MlflowException.class).isThrownBy(() -> wrong.experiment("7", ""))
				.withMessage("answers 401: no *** here");
		}
		finally {
			server.stop(0);
		}
	}

	@Test
	void certificateOfTheEnvironment() throws Exception {
		try (StubServer server = new StubServer();
				TlsFront front = new TlsFront(URI.create(server.uri()), this.directory)) {
			MlflowApi trusting = new MlflowApi(of(Map.of("MLFLOW_TRACKING_URI", front.uri(),
					"MLFLOW_TRACKING_SERVER_CERT_PATH", front.certificate().toString())));
			assertThat(trusting.experiment(null, "stories")).isEqualTo("7");
			MlflowConnection unknown = MlflowConnection.to(front.uri());
			assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> MlflowTraces.of(unknown, "stories"))
				.withMessageContaining("cannot be reached (SSLHandshakeException")
				.withMessageEndingWith("; name the server's certificate in MLFLOW_TRACKING_SERVER_CERT_PATH, "
						+ "and use a host name that stands in it");
		}
	}

	@ParameterizedTest
	@ValueSource(strings = { "true", "True", "1" })
	void everyCertificateIsNoChoice(String yes) {
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> of(
					Map.of("MLFLOW_TRACKING_URI", "https://mlflow.example.org", "MLFLOW_TRACKING_INSECURE_TLS", yes)))
			.withMessage("MLFLOW_TRACKING_INSECURE_TLS is not supported; "
					+ "name the server's certificate in MLFLOW_TRACKING_SERVER_CERT_PATH");
	}

}

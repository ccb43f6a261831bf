package io.calm.mlflow;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import java.util.Map;

import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
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
	}

	@ParameterizedTest
	@ValueSource(strings = { "mlruns", "file:///srv/mlruns", "databricks", "sqlite:///mlflow.db", "http://",
			"http://a b", "localhost:5000" })
	void addressesOfNoServer(String uri) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> MlflowConnection.to(uri))
			.withMessageContaining(uri)
			.withMessageContaining("mlflow server");
	}

	@Test
	void badAddressDoesNotShowItsPassword() {
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> MlflowConnection.to("ftp://joe:s3cret@host"))
			.withMessageNotContaining("s3cret");
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
		Path store = this.directory.resolve("server.p12");
		Path certificate = this.directory.resolve("server.pem");
		keytool("-genkeypair", "-alias", "server", "-keyalg", "EC", "-dname", "CN=127.0.0.1", "-ext",
				"san=ip:127.0.0.1", "-validity", "2", "-keystore", store.toString());
		keytool("-exportcert", "-rfc", "-alias", "server", "-file", certificate.toString(), "-keystore",
				store.toString());
		HttpsServer server = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
		server.setHttpsConfigurator(new HttpsConfigurator(context(store)));
		server.createContext("/", (exchange) -> {
			byte[] body = "{\"experiment\":{\"experiment_id\":\"7\"}}".getBytes(StandardCharsets.UTF_8);
			exchange.sendResponseHeaders(200, body.length);
			exchange.getResponseBody().write(body);
			exchange.close();
		});
		server.start();
		try {
			String uri = "https://127.0.0.1:" + server.getAddress().getPort();
			MlflowApi trusting = new MlflowApi(
					of(Map.of("MLFLOW_TRACKING_URI", uri, "MLFLOW_TRACKING_SERVER_CERT_PATH", certificate.toString())));
			assertThat(trusting.experiment("7", "")).isEqualTo("7");
			assertThatExceptionOfType(MlflowException.class)
				.isThrownBy(() -> new MlflowApi(MlflowConnection.to(uri)).experiment("7", ""));
		}
		finally {
			server.stop(0);
		}
	}

	private static void keytool(String... arguments) throws Exception {
		String[] command = new String[arguments.length + 5];
		command[0] = Path.of(System.getProperty("java.home"), "bin", "keytool").toString();
		System.arraycopy(arguments, 0, command, 1, arguments.length);
		System.arraycopy(new String[] { "-storepass", "changeit", "-storetype", "PKCS12" }, 0, command,
				arguments.length + 1, 4);
		Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
		String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
		assertThat(process.waitFor()).as(output).isZero();
	}

	private static SSLContext context(Path store) throws Exception {
		KeyStore keys = KeyStore.getInstance(store.toFile(), "changeit".toCharArray());
		KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
		factory.init(keys, "changeit".toCharArray());
		SSLContext context = SSLContext.getInstance("TLS");
		context.init(factory.getKeyManagers(), null, null);
		return context;
	}

}

package io.calm.cli;

import java.nio.file.Path;
import java.util.List;

import io.calm.cli.serve.ServeApplication;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static io.calm.cli.Invocation.calm;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * Why {@code calm serve} may not start: one line, whatever framework is under it.
 */
class ServeCommandTest {

	private static void assertRefused(String message, String... arguments) {
		Invocation refused = calm((Object[]) arguments);
		assertThat(refused.err().lines()).singleElement().asString().startsWith("calm: " + message);
		assertThat(refused.exit()).isEqualTo(2);
		assertThat(refused.out()).isEmpty();
	}

	@Test
	void noModel(@TempDir Path directory) {
		String nowhere = directory.resolve("nowhere").toString();
		assertRefused(nowhere + " does not exist; give the directory of a model", "serve", nowhere, "--port", "0");
	}

	@Test
	void openToOthersWithoutAKey() {
		assertRefused("--host 0.0.0.0: lets other machines reach the service, and there is no key for it; set "
				+ "CALM_API_KEY to one", "serve", "model", "--host", "0.0.0.0");
	}

	@Test
	void noSuchPort() {
		assertRefused("--port is 65536; choose a number from 0 to 65535", "serve", "model", "--port", "65536");
	}

	@Test
	void noSuchHost() {
		assertRefused("--host is nowhere.invalid, which is not known here; choose an address of this machine", "serve",
				"model", "--host", "nowhere.invalid");
	}

	/**
	 * What Spring Boot makes of the variables of OpenTelemetry, which a test cannot set
	 * here.
	 */
	@ParameterizedTest
	@CsvSource({ "transport=grpc, OTEL_EXPORTER_OTLP_PROTOCOL is grpc",
			"ssl.bundle=opentelemetry-tracing, Error reading certificate or key from file 'file:/nowhere.pem'" })
	void spansThatCannotBeSent(String property, String message) {
		List<String> properties = List.of("spring.config.name=calm-serve", "calm.http.enabled=true", "server.port=0",
				"calm.model.location=model",
				"spring.ssl.bundle.pem.opentelemetry-tracing.truststore.certificate=file:/nowhere.pem",
				"management.opentelemetry.tracing.export.otlp.endpoint=https://localhost:4317",
				"management.opentelemetry.tracing.export.otlp." + property);
		assertThatExceptionOfType(RuntimeException.class)
			.isThrownBy(() -> ServeApplication.run(properties, (port, name) -> {
			}))
			.withMessageStartingWith(message);
	}

}

package io.calm.streaming.app;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import io.calm.streaming.TinyModel;
import io.calm.streaming.client.CalmKafkaClient;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.boot.health.contributor.Status;
import org.springframework.context.ConfigurableApplicationContext;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Spring Boot's properties for TLS and SASL are all that a secured broker needs.
 */
class SecureBrokerTests {

	private static final String PASSWORD = "only-for-this-test";

	private final Path temporary;

	SecureBrokerTests(@TempDir Path temporary) {
		this.temporary = temporary;
	}

	private Path keyStore() throws IOException, InterruptedException {
		Path store = this.temporary.resolve("store.p12");
		Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
				"-genkeypair", "-alias", "broker", "-keyalg", "EC", "-dname", "CN=localhost", "-ext",
				"san=dns:localhost", "-storetype", "PKCS12", "-storepass", PASSWORD, "-keystore", store.toString())
			.redirectErrorStream(true)
			.start();
		String said = new String(process.getInputStream().readAllBytes());
		assertThat(process.waitFor()).as(said).isZero();
		return store;
	}

	private static String login(String user, String password) {
		return "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"" + user + "\" password=\""
				+ password + "\"";
	}

	private BrokerProcess broker(Path store) {
		return BrokerProcess.start(this.temporary, "SASL_SSL", """
				ssl.keystore.type=PKCS12
				ssl.keystore.location=%1$s
				ssl.keystore.password=%2$s
				ssl.truststore.type=PKCS12
				ssl.truststore.location=%1$s
				ssl.truststore.password=%2$s
				sasl.enabled.mechanisms=PLAIN
				sasl.mechanism.inter.broker.protocol=PLAIN
				listener.name.sasl_ssl.plain.sasl.jaas.config=%3$s user_broker="%2$s" user_calm="%2$s";
				""".formatted(store, PASSWORD, login("broker", PASSWORD)),
				Map.of("security.protocol", "SASL_SSL", "ssl.truststore.type", "PKCS12", "ssl.truststore.location",
						store.toString(), "ssl.truststore.password", PASSWORD, "sasl.mechanism", "PLAIN",
						"sasl.jaas.config", login("calm", PASSWORD) + ";"));
	}

	private static ConfigurableApplicationContext service(BrokerProcess broker, Path store, String password,
			String... more) {
		List<String> properties = new ArrayList<>(List.of("spring.kafka.bootstrap-servers=" + broker.address(),
				"spring.kafka.security.protocol=SASL_SSL", "spring.kafka.ssl.trust-store-type=PKCS12",
				"spring.kafka.ssl.trust-store-location=file:" + store,
				"spring.kafka.ssl.trust-store-password=" + PASSWORD, "spring.kafka.properties.sasl.mechanism=PLAIN",
				"spring.kafka.properties.sasl.jaas.config=" + login("calm", password) + ";",
				"calm.model.location=" + TinyModel.directory(), "calm.streaming.topics.partitions=2",
				"management.endpoint.health.show-details=always"));
		properties.addAll(Arrays.asList(more));
		return new SpringApplicationBuilder(StreamingGenerator.class).web(WebApplicationType.NONE)
			.properties(properties.toArray(String[]::new))
			.run();
	}

	@Test
	void serviceAndClientsAreLetIn() throws Exception {
		Path store = keyStore();
		try (BrokerProcess broker = broker(store)) {
			for (String mode : List.of("stream", "results", "share-group")) {
				String names = "calm.streaming.topics.";
				// the service makes its topics: that, too, needs a login
				try (ConfigurableApplicationContext service = service(broker, store, PASSWORD,
						"calm.streaming.mode=" + mode, "calm.streaming.group=" + mode,
						names + "requests=" + mode + ".requests", names + "chunks=" + mode + ".chunks",
						names + "control=" + mode + ".control", names + "dead-letters=" + mode + ".dead-letters")) {
					Health health = service.getBean("calmStreamingHealthContributor", HealthIndicator.class).health();
					assertThat(Objects.requireNonNull(health).getStatus()).isEqualTo(Status.UP);
					assertThat(service.getBean(CalmKafkaClient.class)
						.text("One fish", (request) -> request.maxNewTokens(40))).isNotEmpty();
					try (CalmKafkaClient own = CalmKafkaClient.create(broker.connection(),
							(options) -> options.requests(mode + ".requests")
								.chunks(mode + ".chunks")
								.control(mode + ".control")
								.timeout(Duration.ofMinutes(1)))) {
						assertThat(own.text("One fish", (request) -> request.maxNewTokens(40))).isNotEmpty();
					}
				}
			}
		}
	}

}

package io.calm.streaming.app;

import java.io.IOException;
import java.net.ConnectException;
import java.net.ServerSocket;
import java.net.Socket;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;

import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Configuration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * The demonstration, which has no access control.
 */
class DemoTests {

	@Test
	void isForThisMachineOnly() throws IOException {
		try (ConfigurableApplicationContext context = start("--calm.demo=true")) {
			assertThat(context.getEnvironment().getProperty("server.address")).isEqualTo("127.0.0.1");
			String broker = context.getEnvironment().getRequiredProperty("spring.kafka.bootstrap-servers");
			int port = Integer.parseInt(broker.substring(broker.lastIndexOf(':') + 1));
			new Socket("127.0.0.1", port).close();
			// which is this machine, too, but not where it listens
			assertThatExceptionOfType(ConnectException.class).isThrownBy(() -> new Socket("127.0.0.2", port).close());
		}
	}

	@Test
	void whoSaysOtherwiseIsHeard() {
		try (ConfigurableApplicationContext context = start("--calm.demo=true", "--server.address=0.0.0.0")) {
			assertThat(context.getEnvironment().getProperty("server.address")).isEqualTo("0.0.0.0");
		}
	}

	@Test
	void saysThatThePortIsInUse() throws IOException {
		try (ServerSocket other = new ServerSocket(0)) {
			String port = "" + other.getLocalPort();
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> start("--calm.demo=true", "--calm.demo.port=" + port))
				.withMessage(
						"calm.demo.port is " + port + ", which is in use; choose another, or 0 for any that is free");
		}
	}

	private static ConfigurableApplicationContext start(String... arguments) {
		return new SpringApplicationBuilder(Nothing.class).web(WebApplicationType.NONE)
			.initializers(new Demo())
			.run(arguments);
	}

	@Configuration(proxyBeanMethods = false)
	static class Nothing {

	}

}

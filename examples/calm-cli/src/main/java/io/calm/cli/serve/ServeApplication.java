package io.calm.cli.serve;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.function.BiConsumer;

import io.calm.input.InvalidInputException;
import io.calm.spring.ServedModel;

import org.springframework.boot.Banner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.web.server.PortInUseException;
import org.springframework.boot.web.server.reactive.context.ReactiveWebServerApplicationContext;
import org.springframework.context.ApplicationListener;
import org.springframework.context.annotation.Import;
import org.springframework.context.event.ContextClosedEvent;

/**
 * The HTTP service with its server, and a page to try it in. Properties that no option
 * sets may stand in {@code calm-serve.properties} in the working directory.
 */
@SpringBootConfiguration(proxyBeanMethods = false)
@EnableAutoConfiguration
@Import(PageSecurity.class)
public class ServeApplication {

	/**
	 * Serves until the context is closed, as by the end of the process, or the thread is
	 * interrupted.
	 * @param properties {@code name=value}, before all others
	 * @param started is told the port and the name of the model when the service answers
	 * @throws InvalidInputException if the user can mend what keeps it from starting
	 */
	public static void run(List<String> properties, BiConsumer<Integer, String> started) {
		CountDownLatch closed = new CountDownLatch(1);
		SpringApplication application = new SpringApplication(ServeApplication.class);
		application.setBannerMode(Banner.Mode.OFF);
		application.setLogStartupInfo(false);
		application.addListeners((ApplicationListener<ContextClosedEvent>) (event) -> {
			// before the server ends: texts end with the reason, and their connections
			event.getApplicationContext().getBean(ServedModel.class).close();
			closed.countDown();
		});
		String[] arguments = properties.stream().map((each) -> "--" + each).toArray(String[]::new);
		try (ReactiveWebServerApplicationContext context = (ReactiveWebServerApplicationContext) application
			.run(arguments)) {
			started.accept(Objects.requireNonNull(context.getWebServer()).getPort(),
					context.getBean(ServedModel.class).status().name());
			closed.await();
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
		catch (RuntimeException ex) {
			throw inWordsOfTheLibrary(ex);
		}
	}

	/** The cause says what is wrong; what is around it, in which property. */
	private static RuntimeException inWordsOfTheLibrary(RuntimeException failure) {
		RuntimeException deepest = failure;
		for (Throwable each = failure; each != null; each = each.getCause()) {
			if (each instanceof InvalidInputException
					|| each instanceof RuntimeException && !(deepest instanceof InvalidInputException)) {
				deepest = (RuntimeException) each;
			}
			if (each instanceof PortInUseException inUse) {
				return new InvalidInputException("--port", "is " + inUse.getPort() + ", which is in use",
						"choose another");
			}
		}
		if (String.valueOf(deepest.getMessage()).startsWith("No GrpcSenderProvider")) {
			return new InvalidInputException("OTEL_EXPORTER_OTLP_PROTOCOL", "is grpc, which calm serve does not speak",
					"choose http/protobuf, and the endpoint for it, often at port 4318");
		}
		return deepest;
	}

}

package io.calm.streaming.app;

import java.util.Map;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import org.springframework.beans.factory.support.DefaultListableBeanFactory;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.ApplicationContextInitializer;
import org.springframework.context.ApplicationListener;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.MapPropertySource;

/**
 * With {@code calm.demo=true} the application brings its own broker and uses the model
 * that the quickstart has left, so that nothing else is needed to try it.
 */
final class Demo implements ApplicationContextInitializer<ConfigurableApplicationContext> {

	private static final Logger LOG = LoggerFactory.getLogger(Demo.class);

	@Override
	public void initialize(ConfigurableApplicationContext context) {
		ConfigurableEnvironment environment = context.getEnvironment();
		if (!environment.getProperty("calm.demo", Boolean.class, false)) {
			return;
		}
		DemoBroker broker = DemoBroker.start(environment.getProperty("calm.demo.port", Integer.class, 0));
		environment.getPropertySources()
			.addFirst(new MapPropertySource("calmDemoBroker",
					Map.of("spring.kafka.bootstrap-servers", broker.address())));
		environment.getPropertySources()
			.addLast(new MapPropertySource("calmDemo",
					// anyone who reaches it may use the model
					Map.of("calm.model.location", "file:quickstart-model", "server.address", "127.0.0.1",
							"management.endpoint.health.show-details", "always")));
		if (context.getBeanFactory() instanceof DefaultListableBeanFactory beans) {
			// the first is the last to be destroyed
			beans.registerDisposableBean("calmDemoBroker", broker::close);
		}
		context.addApplicationListener((ApplicationListener<ApplicationReadyEvent>) (ready) -> {
			String port = environment.getProperty("local.server.port");
			if (port != null) {
				LOG.info("Ask it: curl -N 'localhost:{}/generate?prompt=One%20day,%20'", port);
			}
		});
	}

}

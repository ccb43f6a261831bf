package io.calm.examples.pipeline;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

import io.calm.streaming.app.DemoBroker;

import org.springframework.beans.factory.support.DefaultListableBeanFactory;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.context.ApplicationContextInitializer;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.MapPropertySource;

/**
 * Before the application starts: where its model is, and a broker where none is
 * configured.
 */
final class Preparation implements ApplicationContextInitializer<ConfigurableApplicationContext> {

	@Override
	public void initialize(ConfigurableApplicationContext context) {
		ConfigurableEnvironment environment = context.getEnvironment();
		Map<String, Object> found = new LinkedHashMap<>();
		if (!Binder.get(environment)
			.bind("calm.pipeline.models", Bindable.mapOf(String.class, String.class))
			.isBound()) {
			String location = environment.getProperty("calm.model.location", "");
			if (location.isBlank()) {
				Path model = StoryModel.find(Path.of(environment.getProperty("calm.pipeline.directory", "")));
				location = "file:" + model;
				found.put("calm.pipeline.untrained", !Files.exists(model));
			}
			found.put("calm.pipeline.models[" + lastPart(location) + "]", location);
		}
		if (environment.getProperty("spring.kafka.bootstrap-servers", "").isBlank()) {
			DemoBroker broker = DemoBroker.start(0);
			if (context.getBeanFactory() instanceof DefaultListableBeanFactory beans) {
				// the first is the last to be destroyed
				beans.registerDisposableBean("broker", broker::close);
			}
			found.put("spring.kafka.bootstrap-servers", broker.address());
			found.put("calm.pipeline.own-broker", true);
		}
		environment.getPropertySources().addFirst(new MapPropertySource("preparation", found));
	}

	private static String lastPart(String location) {
		String path = location.replaceAll("[/\\\\]+$", "");
		return path
			.substring(Math.max(path.lastIndexOf('/'), Math.max(path.lastIndexOf('\\'), path.lastIndexOf(':'))) + 1);
	}

}

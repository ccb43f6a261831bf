package io.calm.examples.pipeline;

import java.util.Collection;
import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.stereotype.Component;

/**
 * A service for each model. One model has the usual topics; several have topics of their
 * own, so that a request says by its topic which model it wants.
 */
@Component
final class ModelServices implements AutoCloseable {

	private final PipelineProperties properties;

	private final ConfigurableEnvironment environment;

	/** None until all are started. */
	private volatile Map<String, ModelService> services = Map.of();

	ModelServices(PipelineProperties properties, ConfigurableEnvironment environment) {
		this.properties = properties;
		this.environment = environment;
		if (!properties.untrained()) {
			start();
		}
	}

	/** Opens the models and serves them. */
	void start() {
		boolean several = this.properties.models().size() > 1;
		Map<String, ModelService> started = new TreeMap<>();
		try {
			this.properties.models()
				.forEach((name, location) -> started.put(name,
						ModelService.start(name, location, several ? suffix(name) : "", this.environment)));
			this.services = started;
		}
		catch (RuntimeException ex) {
			started.values().forEach(ModelService::close);
			throw ex;
		}
	}

	private static String suffix(String name) {
		if (!name.matches("[a-zA-Z0-9._-]+")) {
			throw new InvalidInputException("calm.pipeline.models." + name, "names a topic that Kafka does not allow",
					"use letters, digits, points, underscores and hyphens");
		}
		return "." + name;
	}

	Collection<ModelService> all() {
		return Collections.unmodifiableCollection(this.services.values());
	}

	/**
	 * The one that is meant where none is named: by its name, the first.
	 * @throws InvalidInputException if the model has yet to be trained
	 */
	ModelService first() {
		if (this.services.isEmpty()) {
			throw new InvalidInputException("model", "is still being trained",
					"wait until the page says that it is ready");
		}
		return this.services.values().iterator().next();
	}

	/**
	 * The service of a model.
	 * @throws InvalidInputException if there is no model of this name
	 */
	ModelService of(@Nullable String name) {
		if (name == null || name.isEmpty() || this.services.isEmpty()) {
			return first();
		}
		ModelService service = this.services.get(name);
		if (service == null) {
			throw new InvalidInputException("model", "has no such name", "choose one of " + this.services.keySet());
		}
		return service;
	}

	@Override
	public void close() {
		this.services.values().forEach(ModelService::close);
	}

}

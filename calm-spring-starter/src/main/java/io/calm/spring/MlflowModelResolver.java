package io.calm.spring;

import java.nio.file.Path;

import io.calm.mlflow.MlflowRegistry;
import org.jspecify.annotations.Nullable;

/**
 * Knows {@code models:/name@alias}, {@code models:/name/3} and {@code runs:/…}.
 */
final class MlflowModelResolver implements ModelResolver {

	private final MlflowRegistry registry;

	MlflowModelResolver(MlflowRegistry registry) {
		this.registry = registry;
	}

	@Override
	public @Nullable Path resolve(String location) {
		return location.matches("(models|runs):/.*") ? this.registry.load(location) : null;
	}

	@Override
	public @Nullable String version(String location) {
		return location.startsWith("models:/") ? Integer.toString(this.registry.find(location).version()) : null;
	}

}

package io.calm.spring;

import java.nio.file.Path;

import org.jspecify.annotations.Nullable;

/**
 * Finds the directory of a model, perhaps by copying it from elsewhere. Beans of this
 * type are asked one after the other; paths, {@code file:} and {@code classpath:} are
 * known without one.
 */
@FunctionalInterface
public interface ModelResolver {

	/**
	 * Finds a model. Asked again at every reload, so that an alias may lead elsewhere by
	 * then.
	 * @param location as it stands in {@code calm.model.location}
	 * @return the model directory, or {@code null} if this resolver knows no such
	 * locations
	 * @throws io.calm.input.InvalidInputException if it does, but there is no such model
	 */
	@Nullable Path resolve(String location);

}

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

	/**
	 * Tells which version of a model a location leads to at the moment. Asked often where
	 * {@code calm.model.watch} is set; it fetches no files.
	 * @param location as it stands in {@code calm.model.location}
	 * @return such as {@code 3}, or {@code null} if this resolver knows no such
	 * locations, or they have no versions
	 * @throws io.calm.input.InvalidInputException if there is no such model, or it cannot
	 * be told at the moment
	 */
	default @Nullable String version(String location) {
		return null;
	}

}

package io.calm.spring;

import io.calm.generation.EngineOptions;

/**
 * Changes what the properties say of the engine. Beans of this type are called in their
 * order, before every opening of a model.
 */
@FunctionalInterface
public interface EngineOptionsCustomizer {

	/**
	 * Changes the options of the engine before it is opened.
	 * @param options as the properties set them
	 */
	void customize(EngineOptions.Builder options);

}

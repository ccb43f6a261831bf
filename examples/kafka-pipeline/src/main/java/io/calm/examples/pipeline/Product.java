package io.calm.examples.pipeline;

import java.util.Objects;

/**
 * A product that a story is told about.
 *
 * @param sku its number
 * @param name of the product
 * @param description where its story begins
 */
record Product(String sku, String name, String description) {

	/** Nothing is missing. */
	Product {
		Objects.requireNonNull(sku, "sku");
		Objects.requireNonNull(name, "name");
		Objects.requireNonNull(description, "description");
	}

}

package io.calm.examples.pipeline;

/**
 * A product.
 *
 * @param sku its number
 * @param name of the product
 * @param description where its story begins
 */
record Product(String sku, String name, String description) {
}

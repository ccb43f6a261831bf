package io.calm.examples.pipeline;

import java.util.Map;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * The properties {@code calm.pipeline.*}; their defaults are in
 * {@code application.properties}.
 *
 * @param models model directories by the name that the page shows
 * @param products topic of the product descriptions
 * @param stories topic of the results
 * @param ownBroker whether the broker is in this process, and so empty at the start
 */
@ConfigurationProperties("calm.pipeline")
record PipelineProperties(@DefaultValue Map<String, String> models, String products, String stories,
		@DefaultValue("false") boolean ownBroker) {
}

package io.calm.examples.pipeline;

import java.util.Map;
import java.util.Set;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * The properties {@code calm.pipeline.*}; their defaults are in
 * {@code application.properties}.
 *
 * @param models Model directories by the name that the page shows. By default, that of
 * calm.model.location.
 * @param products Topic of the product descriptions.
 * @param stories Topic of the results.
 * @param hosts Names by which the page may be called, beside localhost, 127.0.0.1, [::1]
 * and server.address.
 * @param ownBroker Whether the broker is in this process, and so empty at the start. Set
 * by the application itself.
 */
@ConfigurationProperties("calm.pipeline")
record PipelineProperties(@DefaultValue Map<String, String> models, String products, String stories,
		@DefaultValue Set<String> hosts, @DefaultValue("false") boolean ownBroker) {
}

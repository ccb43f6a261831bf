package io.calm.spring;

import java.nio.file.Path;
import java.util.function.Supplier;

import io.calm.Calm;
import io.calm.hub.Hub;
import org.jspecify.annotations.Nullable;

/**
 * Knows {@code hf:OWNER/NAME[@REVISION]}, whose autoencoder and tokenizer may be in
 * repositories of their own.
 */
final class HubModelResolver implements ModelResolver {

	static final String SCHEME = "hf:";

	private final CalmProperties.Model properties;

	/** Asked for when it is needed: what the environment says of it may be wrong. */
	private final Supplier<Hub> hub;

	HubModelResolver(CalmProperties.Model properties, Supplier<Hub> hub) {
		this.properties = properties;
		this.hub = hub;
	}

	@Override
	public @Nullable Path resolve(String location) {
		if (!location.startsWith(SCHEME)) {
			return null;
		}
		return Calm.pull(location, (parts) -> {
			parts.hub(this.hub.get());
			if (this.properties.autoencoder() != null) {
				parts.autoencoder(this.properties.autoencoder());
			}
			if (this.properties.tokenizer() != null) {
				parts.tokenizer(this.properties.tokenizer());
			}
		});
	}

}

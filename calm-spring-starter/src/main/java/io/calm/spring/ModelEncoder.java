package io.calm.spring;

import java.util.function.Supplier;

import io.calm.latent.LatentEncoder;
import io.calm.latent.Latents;
import org.jspecify.annotations.Nullable;

/**
 * The encoder of a model, opened for the first text that it is asked for: most
 * applications only generate. It encodes one text at a time.
 */
final class ModelEncoder implements AutoCloseable {

	private final Supplier<LatentEncoder> opening;

	private @Nullable LatentEncoder encoder;

	private boolean closed;

	ModelEncoder(Supplier<LatentEncoder> opening) {
		this.opening = opening;
	}

	/**
	 * Encodes a text.
	 * @throws IllegalStateException if the model is closed
	 */
	synchronized Latents encode(String text) {
		if (this.closed) {
			throw new IllegalStateException("The model is closed");
		}
		if (this.encoder == null) {
			this.encoder = this.opening.get();
		}
		return this.encoder.encode(text);
	}

	@Override
	public synchronized void close() {
		this.closed = true;
		if (this.encoder != null) {
			this.encoder.close();
			this.encoder = null;
		}
	}

}

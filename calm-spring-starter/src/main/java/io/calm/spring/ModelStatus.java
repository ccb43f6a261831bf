package io.calm.spring;

import java.time.Instant;

import io.calm.generation.EngineStatus;
import io.calm.graph.Device;
import io.calm.model.LanguageModelConfig;
import org.jspecify.annotations.Nullable;

/**
 * What a model is doing at a moment.
 *
 * @param state whether it is usable
 * @param name of the model
 * @param version of the model, or {@code null} while none is open or where its location
 * has no versions
 * @param config the model's shape, or {@code null} while none is open
 * @param device where it computes, or {@code null} while none is open
 * @param engine its slots, or {@code null} while none is open
 * @param draining older models whose last texts are being finished
 * @param lastError the latest failure of an opening or of a generation, or {@code null}
 * if there was none; a refused request is none
 */
public record ModelStatus(State state, String name, @Nullable String version, @Nullable LanguageModelConfig config,
		@Nullable Device device, @Nullable EngineStatus engine, int draining, @Nullable Failure lastError) {

	/**
	 * Whether the model is usable.
	 */
	public enum State {

		/** It will be opened with the first request. */
		WAITING,
		/** It is being opened for the first time. */
		OPENING,
		/** The model takes requests. */
		USABLE,
		/**
		 * It could not be opened, and the next request tries again; or its engine has
		 * failed, such as for want of memory, and takes no requests until it is reloaded.
		 */
		FAILED,
		/** The application ends, and the model takes no more requests. */
		CLOSED

	}

	/**
	 * A failure of the model, and when it happened.
	 *
	 * @param at when
	 * @param message what, without prompts and texts
	 */
	public record Failure(Instant at, String message) {
	}

}

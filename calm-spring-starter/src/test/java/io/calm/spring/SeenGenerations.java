package io.calm.spring;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;

/**
 * Remembers the generations that have ended.
 */
public final class SeenGenerations implements ObservationHandler<GenerationObservationContext> {

	private final List<GenerationObservationContext> ended = new CopyOnWriteArrayList<>();

	@Override
	public boolean supportsContext(Observation.Context context) {
		return context instanceof GenerationObservationContext;
	}

	@Override
	public void onStop(GenerationObservationContext context) {
		this.ended.add(context);
	}

	/**
	 * Those that have ended.
	 * @return they, in their order
	 */
	public List<GenerationObservationContext> ended() {
		return this.ended;
	}

}

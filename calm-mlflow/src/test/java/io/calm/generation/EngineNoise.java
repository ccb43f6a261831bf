package io.calm.generation;

import io.calm.model.CalmConfig;

/**
 * The random numbers of which the engine makes a text.
 */
public final class EngineNoise {

	private EngineNoise() {
	}

	/**
	 * Those of the single draw that follows a patch at temperature 1.
	 * @param config of the model
	 * @param seed of the request
	 * @param position of the patch, counted from 0
	 * @return as many as one draw takes
	 */
	public static float[] after(CalmConfig config, long seed, int position) {
		return config.noise().draw(Slot.random(seed, position, Slot.NOISE), 1);
	}

}

package io.calm.generation;

import java.nio.file.Path;
import java.util.List;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Device;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.layer.CacheConfig;
import io.calm.model.BaselineConfig;
import io.calm.model.CalmConfig;
import io.calm.model.LanguageModelConfig;
import io.calm.model.ModelConfigs;

/**
 * The native side of the engine: a model with the key/value caches of S slots. A patch is
 * a single token in the baseline. Not for several threads.
 */
sealed interface ModelProgram extends AutoCloseable permits PatchProgram, TokenProgram {

	/** Patches of a prompt that are taken in one call; divides a page. */
	int PREFILL = CacheConfig.PAGE;

	/**
	 * Loads a model.
	 * @param model its directory
	 * @param weights its tensors
	 * @param config its shape
	 * @param ids of its tokenizer, which may be fewer than those of a baseline
	 * @param cache how large the cache is
	 * @param options device and precision
	 * @return the program; close it
	 */
	static ModelProgram load(ModelDirectory model, TensorFile weights, LanguageModelConfig config, int ids,
			CacheConfig cache, ProgramOptions options) {
		Path directory = model.path();
		if (config instanceof BaselineConfig baseline) {
			return new TokenProgram(baseline, ids, cache, options, directory, weights);
		}
		return new PatchProgram((CalmConfig) config, ModelConfigs.autoencoderOf(model, weights), cache, options,
				directory, weights);
	}

	/**
	 * Checks that the model can sample so.
	 * @param sampling what was asked for
	 * @throws InvalidInputException if it cannot
	 */
	void check(Sampling sampling);

	/**
	 * Takes a part of a prompt into a slot's cache.
	 * @param slot whose it is
	 * @param patches {@code [n, K]}, at most {@link #PREFILL} patches
	 * @param position of the first of them, a multiple of {@link #PREFILL}
	 */
	void prefill(int slot, int[] patches, int position);

	/**
	 * Takes the last patch of each slot into its cache and gives it the next one.
	 * @param slots whose prompts are taken in
	 */
	void advance(List<Slot> slots);

	/**
	 * Where it computes.
	 * @return CPU or GPU
	 */
	Device device();

	@Override
	void close();

}

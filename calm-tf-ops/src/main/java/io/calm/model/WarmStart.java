package io.calm.model;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorEntry;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Program;
import io.calm.graph.Variable;
import io.calm.input.InvalidInputException;

/**
 * First weights of a CALM language model from a Llama that knows the language: its
 * backbone, its norms and its embeddings of tokens. The patch embedding begins as the map
 * that gives the backbone a vector it knows, the embedding of the patch's last token.
 * Everything else begins as it would otherwise.
 */
public final class WarmStart {

	private static final String LLAMA = "model.";

	private static final String TABLE = LLAMA + "embed_tokens.weight";

	/** Rows that only fill up a matrix; more belong to another tokenizer. */
	private static final int MOST_FILLING = 1024;

	private WarmStart() {
	}

	/**
	 * The shape of a Llama's backbone.
	 * @param llama its directory
	 * @return the shape
	 * @throws InvalidInputException if it is no Llama, or computes something that is not
	 * implemented
	 */
	public static BackboneConfig backbone(ModelDirectory llama) {
		try (TensorFile weights = llama.weights()) {
			if (ModelKind.of(llama.path(), weights) != ModelKind.BASELINE) {
				throw new InvalidInputException(llama.path().toString(), "is no Llama",
						"give the directory of one; to train a CALM model further, make it the base");
			}
			return ModelConfigs.backbone(llama.config());
		}
	}

	/**
	 * Checks that a model can begin with the weights of a Llama.
	 * @param config of the model, with the vocabulary of the Llama's tokenizer; a PAD may
	 * have been added behind the Llama's ids
	 * @param llama its directory
	 * @throws InvalidInputException if the backbone has another shape, or the Llama
	 * another tokenizer
	 */
	public static void check(CalmConfig config, ModelDirectory llama) {
		if (!config.backbone().equals(backbone(llama))) {
			throw new InvalidInputException("warm start",
					"the backbone of the model has another shape than that of " + llama.path(),
					"leave the sizes of the backbone out: they are the Llama's");
		}
		try (TensorFile weights = llama.weights()) {
			table(weights, llama.path(), config.vocabularySize(), config.backbone().hiddenSize());
		}
	}

	/**
	 * Sets the parameters that a Llama has, and the patch embedding.
	 * @param program that owns the parameters, which have their random values
	 * @param parameters of the language model
	 * @param config its shape, over the Llama's backbone
	 * @param llama the Llama's directory, for errors
	 * @param weights its tensors
	 * @throws InvalidInputException if a tensor is missing, has another shape, or no
	 * place in the backbone
	 */
	public static void load(Program program, List<Variable> parameters, CalmConfig config, Path llama,
			TensorFile weights) {
		TensorEntry stored = table(weights, llama, config.vocabularySize(), config.backbone().hiddenSize());
		List<Variable> backbone = parameters.stream()
			.filter((parameter) -> CalmNetwork.isBackboneParameter(parameter.name())
					&& !CalmNetwork.isEmbeddingParameter(parameter.name()))
			.toList();
		refuseOthers(weights, backbone, llama);
		ModelFiles.load(program, backbone, WarmStart::inLlama, llama, weights);
		if (!config.input().hasTokens()) {
			return;
		}
		Variable table = named(parameters, "transformer.embed_tokens.weight");
		float[] known = weights.readFloats(stored.name());
		// the vector of an added PAD stays as it was drawn
		program.read(List.of(table), (variable, values) -> {
			System.arraycopy(known, 0, values, 0, Math.min(known.length, values.length));
			program.write(List.of(table), (same) -> values);
		});
		passLastToken(program, parameters, config, rootMeanSquare(known));
	}

	private static Variable named(List<Variable> parameters, String name) {
		return parameters.stream().filter((parameter) -> parameter.name().equals(name)).findFirst().orElseThrow();
	}

	private static String inLlama(String name) {
		return LLAMA + name.substring("transformer.".length());
	}

	/**
	 * The patch embedding {@code LayerNorm(W₂·SiLU(W₁·x))} as the embedding e of the last
	 * token: {@code SiLU(e) − SiLU(−e) = e}. The norm gives it the size of the Llama's
	 * embeddings.
	 * @param size root of the mean square of an embedding's elements
	 */
	private static void passLastToken(Program program, List<Variable> parameters, CalmConfig config, float size) {
		int width = config.backbone().hiddenSize();
		int first = (config.patchSize() - 1) * width;
		int columns = (int) named(parameters, "embed_proj.0.weight").shape()[1];
		float[] signs = new float[2 * width * columns];
		float[] difference = new float[width * 2 * width];
		for (int i = 0; i < width; i++) {
			signs[i * columns + first + i] = 1;
			signs[(width + i) * columns + first + i] = -1;
			difference[i * 2 * width + i] = 1;
			difference[i * 2 * width + width + i] = -1;
		}
		float[] scale = new float[width];
		Arrays.fill(scale, size);
		program.write(List.of(named(parameters, "embed_proj.0.weight")), (variable) -> signs);
		program.write(List.of(named(parameters, "embed_proj.2.weight")), (variable) -> difference);
		program.write(List.of(named(parameters, "embed_proj.3.weight")), (variable) -> scale);
	}

	private static float rootMeanSquare(float[] values) {
		double sum = 0;
		for (float value : values) {
			sum += (double) value * value;
		}
		return (float) Math.sqrt(sum / values.length);
	}

	/** A bias of the attention, say, would be missing in what the backbone computes. */
	private static void refuseOthers(TensorFile weights, List<Variable> backbone, Path llama) {
		Set<String> known = new HashSet<>(List.of(TABLE));
		backbone.forEach((parameter) -> known.add(inLlama(parameter.name())));
		Predicate<String> other = (name) -> name.startsWith(LLAMA) && name.matches(".*\\.(weight|bias)")
				&& !known.contains(name);
		weights.entries().keySet().stream().filter(other).findFirst().ifPresent((name) -> {
			throw new InvalidInputException(llama.toString(), "the tensor " + name
					+ " has no place in a plain Llama as " + ModelDirectory.CONFIG + " describes it",
					"give a Llama without it");
		});
	}

	private static TensorEntry table(TensorFile weights, Path llama, int vocabularySize, int width) {
		TensorEntry table = weights.entry(TABLE);
		if (table.shape().size() != 2 || table.shape().get(1) != width) {
			throw new InvalidInputException(
					llama.toString(), "the tensor " + TABLE + " has the shape " + table.shape() + " where "
							+ ModelDirectory.CONFIG + " asks for vectors of " + width,
					"give weights and configuration of the same model");
		}
		long more = table.shape().get(0) - vocabularySize;
		if (more < -1 || more > MOST_FILLING) {
			throw new InvalidInputException(llama.toString(),
					"has vectors for " + table.shape().get(0) + " tokens, and the tokenizer has " + vocabularySize,
					"use the tokenizer that the Llama was trained with");
		}
		return table;
	}

}

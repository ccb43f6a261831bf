package io.calm.model;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ConfigFile;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorEntry;
import io.calm.checkpoint.TensorFile;
import io.calm.head.DiffusionConfig;
import io.calm.head.EnergyConfig;
import io.calm.head.FlowConfig;
import io.calm.head.HeadConfig;
import io.calm.head.Solver;
import io.calm.input.InvalidInputException;

/**
 * The shapes of models as they stand in the reference's {@code config.json}. What cannot
 * be known from a configuration is read off the tensors' shapes.
 */
public final class ModelConfigs {

	private static final String END = "eos_token_id";

	private static final String TIED = "tie_word_embeddings";

	private static final String OUTPUT = "lm_head.weight";

	private static final String LEFT_PADDED = "left_padded";

	private static final String STEPS = "num_sampling_steps";

	private static final String BOUND = "latent_bound";

	private static final String INPUT = "model_input";

	private static final String COPY_SIZE = "copy_size";

	private static final String TOKEN_LOSS = "token_loss";

	private static final String GUESSED_TOKENS = "guessed_tokens";

	private static final String VECTOR_EVERY = "vector_every";

	private static final String LEAD_TOKENS = "lead_tokens";

	private static final String SOLVER = "solver";

	private static final int LARGEST = 1 << 24;

	/** What the number of a matrix's rows is made a multiple of, at the least. */
	private static final int ROUND = 8;

	/** The most rows that are added for that; more are another tokenizer's. */
	private static final int MOST_FILLING = 1024;

	/**
	 * Layers: more cost memory and time before the weights show that they are not there.
	 */
	private static final int DEEPEST = 1024;

	private ModelConfigs() {
	}

	/**
	 * The shape of an autoencoder's directory.
	 * @param directory of an autoencoder
	 * @return the configuration
	 */
	public static AutoencoderConfig autoencoder(ModelDirectory directory) {
		ConfigFile config = directory.config();
		try {
			return new AutoencoderConfig(size(config, "vocab_size"), size(config, "patch_size"),
					size(config, "hidden_size"), size(config, "intermediate_size"), size(config, "latent_size"),
					config.integer("num_encoder_layers", 1, DEEPEST), config.integer("num_decoder_layers", 1, DEEPEST),
					config.number("ae_dropout", AutoencoderConfig.DROPOUT),
					config.number("kl_weight", AutoencoderConfig.KL_WEIGHT),
					config.number("kl_clamp", AutoencoderConfig.KL_CLAMP), config.number("rms_norm_eps", 1e-6),
					config.number("initializer_range", 0.02), config.integer("pad_token_id"),
					config.integer("bos_token_id"), config.integer("eos_token_id"));
		}
		catch (InvalidInputException ex) {
			throw ex.in(directory.path().resolve(ModelDirectory.CONFIG).toString());
		}
	}

	/**
	 * The shape of the autoencoder inside a language model's directory: that of its
	 * subdirectory, or, where there is none as in the reference's files, what the tensors
	 * say.
	 * @param directory of a language model
	 * @param weights its tensors
	 * @return the configuration
	 */
	public static AutoencoderConfig autoencoderOf(ModelDirectory directory, TensorFile weights) {
		if (directory.autoencoder().isPresent()) {
			return autoencoder(directory.autoencoder().get());
		}
		ConfigFile config = directory.config();
		String prefix = CalmNetwork.AUTOENCODER;
		String embedding = prefix + "encoder.embed_tokens.weight";
		String gate = prefix + "encoder.encoder_layers.0.mlp.gate_proj.weight";
		String latent = prefix + "decoder.latent_to_hidden.weight";
		return new AutoencoderConfig(size(directory, weights, embedding, 0), size(config, "patch_size"),
				size(directory, weights, embedding, 1), size(directory, weights, gate, 0),
				size(directory, weights, latent, 1), layers(weights, prefix + "encoder.encoder_layers."),
				layers(weights, prefix + "decoder.decoder_layers."), AutoencoderConfig.DROPOUT,
				AutoencoderConfig.KL_WEIGHT, AutoencoderConfig.KL_CLAMP, 1e-6, 0.02, config.integer("pad_token_id"),
				config.integer("bos_token_id"), config.integer("eos_token_id"));
	}

	/**
	 * The shape of a CALM language model.
	 * @param directory of the model
	 * @param weights its tensors, which say what head it has
	 * @return the configuration
	 * @throws InvalidInputException if it is another model
	 */
	public static CalmConfig calm(ModelDirectory directory, TensorFile weights) {
		ModelKind kind = ModelKind.of(directory.path(), weights);
		if (!kind.isCalm()) {
			throw new InvalidInputException(directory.path().toString(), "is no CALM language model",
					"give the directory of one");
		}
		ConfigFile config = directory.config();
		try {
			BackboneConfig backbone = backbone(config);
			int vocabulary = size(config, "vocab_size");
			int patch = size(config, "patch_size");
			return new CalmConfig(vocabulary, patch, backbone, head(kind, backbone, config), input(config),
					config.integer(COPY_SIZE, 0, 0, LARGEST), config.number(TOKEN_LOSS, 0),
					config.integer(GUESSED_TOKENS, CalmConfig.guessedTokens(vocabulary, patch), 1, LARGEST),
					config.integer(VECTOR_EVERY, 1, 1, LARGEST), config.integer(LEAD_TOKENS, 0, 0, LARGEST),
					config.integer("pad_token_id"), config.integer("bos_token_id"), config.integer("eos_token_id"));
		}
		catch (InvalidInputException ex) {
			throw ex.in(directory.path().resolve(ModelDirectory.CONFIG).toString());
		}
	}

	/**
	 * The shape of a baseline Transformer.
	 * @param directory of the model
	 * @param weights its tensors
	 * @return the configuration
	 * @throws InvalidInputException if it is another model
	 */
	public static BaselineConfig baseline(ModelDirectory directory, TensorFile weights) {
		if (ModelKind.of(directory.path(), weights) != ModelKind.BASELINE) {
			throw new InvalidInputException(directory.path().toString(), "is no baseline Transformer",
					"give the directory of one");
		}
		ConfigFile config = directory.config();
		try {
			if (!weights.entries().containsKey(OUTPUT) && !config.flag(TIED, false)) {
				throw new InvalidInputException(TIED, "is not true, and there is no tensor " + OUTPUT,
						"give weights and configuration of the same model");
			}
			int end = endIds(directory)[0];
			// what only fills up what nobody looks at may be any token
			return new BaselineConfig(size(config, "vocab_size"), backbone(config), config.integer("pad_token_id", end),
					config.integer("bos_token_id"), end);
		}
		catch (InvalidInputException ex) {
			throw ex.in(directory.path().resolve(ModelDirectory.CONFIG).toString());
		}
	}

	/**
	 * The tokens that end a text: several in models that were trained to answer, which
	 * may name the others in a file of their own.
	 * @param directory of a language model
	 * @return their ids, that of the configuration first
	 * @throws InvalidInputException if there is none, or one is no id
	 */
	public static int[] endIds(ModelDirectory directory) {
		IntStream ids = Arrays.stream(directory.config().integers(END, 0, LARGEST));
		Path generation = directory.path().resolve("generation_config.json");
		if (Files.isRegularFile(generation)) {
			ConfigFile config = ConfigFile.read(generation);
			if (config.has(END)) {
				ids = IntStream.concat(ids, Arrays.stream(config.integers(END, 0, LARGEST)));
			}
		}
		return ids.distinct().toArray();
	}

	/**
	 * The shape of a language model, whichever it is.
	 * @param directory of the model
	 * @param weights its tensors, which say what it is
	 * @return the configuration
	 * @throws InvalidInputException if it is no language model
	 */
	public static LanguageModelConfig languageModel(ModelDirectory directory, TensorFile weights) {
		return (ModelKind.of(directory.path(), weights) == ModelKind.BASELINE) ? baseline(directory, weights)
				: calm(directory, weights);
	}

	private static HeadConfig head(ModelKind kind, BackboneConfig backbone, ConfigFile config) {
		int width = backbone.hiddenSize();
		int latent = size(config, "latent_size");
		int blocks = config.integer("num_mlp_layers", 1, DEEPEST);
		int samples = config.integer("num_samples", 8, 1, LARGEST);
		return switch (kind) {
			case FLOW -> new FlowConfig(width, latent, blocks, samples, solver(config.text(SOLVER, "midpoint")),
					config.integer(STEPS, FlowConfig.STEPS));
			case DIFFUSION -> new DiffusionConfig(width, latent, blocks, samples,
					config.integer(STEPS, DiffusionConfig.STEPS), config.number(BOUND, Double.POSITIVE_INFINITY));
			default -> new EnergyConfig(width, latent, size(config, "noise_size"), blocks, samples,
					config.integer("num_targets", 100, 1, LARGEST), config.number("beta", 1.0),
					backbone.initializerRange());
		};
	}

	private static Solver solver(String name) {
		return choice("flow head, " + SOLVER, name, Solver.values());
	}

	private static ModelInput input(ConfigFile config) {
		return choice("model, " + INPUT, config.text(INPUT, "discrete"), ModelInput.values());
	}

	private static <E extends Enum<E>> E choice(String where, String name, E[] values) {
		return Arrays.stream(values)
			.filter((value) -> value.name().equalsIgnoreCase(name))
			.findFirst()
			.orElseThrow(() -> new InvalidInputException(where, "is " + name,
					"choose one of " + Arrays.toString(values).toLowerCase(Locale.ROOT)));
	}

	/**
	 * The shape of a Llama backbone.
	 * @param config of a language model
	 * @return the configuration
	 */
	public static BackboneConfig backbone(ConfigFile config) {
		int hidden = size(config, "hidden_size");
		int heads = size(config, "num_attention_heads");
		if (!config.has("head_dim") && hidden % heads != 0) {
			throw new InvalidInputException("num_attention_heads", heads + " does not divide hidden_size " + hidden,
					"correct one of them");
		}
		int layers = config.integer("num_hidden_layers", 1, DEEPEST);
		refuseOtherArithmetic(config, hidden, config.integer("head_dim", hidden / heads), layers);
		return new BackboneConfig(hidden, size(config, "intermediate_size"), layers, heads,
				config.integer("num_key_value_heads", heads), config.integer("head_dim", hidden / heads),
				config.integer("max_position_embeddings", 2048), ropeTheta(config), config.number("rms_norm_eps", 1e-6),
				config.number("initializer_range", 0.02));
	}

	/**
	 * Models with the names of Llama's tensors that compute something else, such as
	 * Granite and MiniCPM: taken for a Llama, they write nonsense.
	 */
	private static void refuseOtherArithmetic(ConfigFile config, int hidden, int headSize, int layers) {
		String activation = config.text("hidden_act", "silu");
		if (!List.of("silu", "swish").contains(activation)) {
			throw unsupported("hidden_act", activation, "silu");
		}
		Map<String, Double> neutral = Map.of("embedding_multiplier", 1.0, "residual_multiplier", 1.0,
				"attention_multiplier", 1 / Math.sqrt(headSize), "logits_scaling", 1.0, "scale_emb", 1.0, "scale_depth",
				Math.sqrt(layers), "dim_model_base", (double) hidden, "partial_rotary_factor", 1.0);
		neutral.forEach((key, value) -> {
			double given = config.number(key, value);
			if (Math.abs(given - value) > 1e-6 * value) {
				throw unsupported(key, String.valueOf(given), String.valueOf(value));
			}
		});
		for (String key : List.of("attn_logit_softcapping", "final_logit_softcapping", "no_rope_layers")) {
			if (config.has(key)) {
				throw unsupported(key, "set", "nothing");
			}
		}
		int window = config.flag("use_sliding_window", true) ? config.integer("sliding_window", Integer.MAX_VALUE)
				: Integer.MAX_VALUE;
		if (window < config.integer("max_position_embeddings", 2048)) {
			throw unsupported("sliding_window", String.valueOf(window), "nothing");
		}
	}

	private static InvalidInputException unsupported(String key, String given, String supported) {
		return new InvalidInputException(key, "is " + given + ", which is not supported and would give wrong texts",
				"give a model with " + supported + " there, as a plain Llama has");
	}

	/** Transformers writes rope_theta from version 5 on into an object of its own. */
	private static double ropeTheta(ConfigFile config) {
		double theta = config.number("rope_theta", 1e4);
		for (String key : List.of("rope_scaling", "rope_parameters")) {
			if (config.has(key)) {
				ConfigFile rope = config.section(key);
				// older files say "type"
				String type = rope.text("rope_type", rope.text("type", "default"));
				if (!"default".equals(type) || rope.has("factor")) {
					throw new InvalidInputException(key, "scales the rotary embedding, which is not supported",
							"give a model with a plain one, as the reference trains them");
				}
				theta = rope.number("rope_theta", theta);
			}
		}
		return theta;
	}

	/**
	 * What {@code config.json} says of an autoencoder.
	 * @param config its shape
	 * @return the settings
	 */
	public static Map<String, Object> settings(AutoencoderConfig config) {
		Map<String, Object> settings = new LinkedHashMap<>();
		settings.put("architectures", List.of("Autoencoder"));
		settings.put("model_type", "autoencoder");
		settings.put("vocab_size", config.vocabularySize());
		settings.put("patch_size", config.patchSize());
		settings.put("hidden_size", config.hiddenSize());
		settings.put("intermediate_size", config.intermediateSize());
		settings.put("latent_size", config.latentSize());
		settings.put("num_encoder_layers", config.encoderLayers());
		settings.put("num_decoder_layers", config.decoderLayers());
		settings.put("ae_dropout", config.dropout());
		settings.put("kl_weight", config.klWeight());
		settings.put("kl_clamp", config.klClamp());
		settings.put("rms_norm_eps", config.normEpsilon());
		settings.put("initializer_range", config.initializerRange());
		specialIds(settings, config.padId(), config.bosId(), config.eosId());
		return settings;
	}

	/**
	 * What {@code config.json} says of a CALM language model.
	 * @param config its shape
	 * @return the settings
	 */
	public static Map<String, Object> settings(CalmConfig config) {
		Map<String, Object> settings = new LinkedHashMap<>();
		settings.put("architectures", List.of(architecture(config.head()) + "Transformer"));
		settings.put("model_type", architecture(config.head()).toLowerCase(Locale.ROOT));
		settings.put(LEFT_PADDED, true);
		settings.put("ae_path", ModelFiles.AUTOENCODER);
		settings.put("vocab_size", config.vocabularySize());
		settings.put("patch_size", config.patchSize());
		backbone(settings, config.backbone());
		settings.put(INPUT, config.input().name().toLowerCase(Locale.ROOT));
		settings.put(COPY_SIZE, config.copySize());
		settings.put(TOKEN_LOSS, config.tokenLoss());
		settings.put(GUESSED_TOKENS, config.guessedTokens());
		settings.put(VECTOR_EVERY, config.vectorEvery());
		settings.put(LEAD_TOKENS, config.leadTokens());
		HeadConfig head = config.head();
		settings.put("latent_size", head.latentSize());
		settings.put("num_mlp_layers", head.blocks());
		settings.put("num_samples", head.samples());
		if (head instanceof EnergyConfig energy) {
			settings.put("noise_size", energy.noiseSize());
			settings.put("num_targets", energy.targets());
			settings.put("beta", energy.alpha());
		}
		else if (head instanceof FlowConfig flow) {
			settings.put(SOLVER, flow.solver().name().toLowerCase(Locale.ROOT));
			settings.put(STEPS, flow.steps());
		}
		else if (head instanceof DiffusionConfig diffusion) {
			settings.put(STEPS, diffusion.steps());
			if (Double.isFinite(diffusion.bound())) {
				settings.put(BOUND, diffusion.bound());
			}
		}
		specialIds(settings, config.padId(), config.bosId(), config.eosId());
		return settings;
	}

	/**
	 * What {@code config.json} says of a baseline Transformer.
	 * @param config its shape
	 * @return the settings
	 */
	public static Map<String, Object> settings(BaselineConfig config) {
		Map<String, Object> settings = new LinkedHashMap<>();
		settings.put("architectures", List.of("LlamaForCausalLM"));
		settings.put("model_type", "llama");
		settings.put("hidden_act", "silu");
		settings.put("attention_bias", false);
		settings.put("mlp_bias", false);
		settings.put("tie_word_embeddings", false);
		settings.put("vocab_size", config.vocabularySize());
		backbone(settings, config.backbone());
		specialIds(settings, config.padId(), config.bosId(), config.eosId());
		return settings;
	}

	private static void backbone(Map<String, Object> settings, BackboneConfig backbone) {
		settings.put("hidden_size", backbone.hiddenSize());
		settings.put("intermediate_size", backbone.intermediateSize());
		settings.put("num_hidden_layers", backbone.layers());
		settings.put("num_attention_heads", backbone.heads());
		settings.put("num_key_value_heads", backbone.keyHeads());
		settings.put("head_dim", backbone.headSize());
		settings.put("max_position_embeddings", backbone.positions());
		settings.put("rope_theta", backbone.ropeTheta());
		settings.put("rms_norm_eps", backbone.normEpsilon());
		settings.put("initializer_range", backbone.initializerRange());
	}

	/** What the reference calls the kind of model. */
	private static String architecture(HeadConfig head) {
		if (head instanceof FlowConfig) {
			return "Flow";
		}
		return (head instanceof DiffusionConfig) ? "Diffusion" : "Energy";
	}

	/**
	 * Whether a model has seen PADs before the documents it was trained on, so that they
	 * can make a prompt of any length whole patches.
	 * @param model its directory
	 * @return false for models trained elsewhere
	 */
	public static boolean leftPadded(ModelDirectory model) {
		return model.config().flag(LEFT_PADDED, false);
	}

	/**
	 * Checks that a model can have been trained with a tokenizer: both must have the same
	 * number of ids. With more of them the model would be asked for vectors that it has
	 * not, with fewer the tokenizer for texts. Of a baseline, the matrices may have rows
	 * behind the vocabulary, with which many are filled up to a round number.
	 * @param directory of the model
	 * @param tokenizerIds the number of the tokenizer's ids
	 * @throws InvalidInputException if the model has another number of them
	 */
	public static void checkVocabulary(ModelDirectory directory, int tokenizerIds) {
		int modelIds = size(directory.config(), "vocab_size");
		int more = modelIds - tokenizerIds;
		boolean filledUp = more > 0 && more <= MOST_FILLING && modelIds % ROUND == 0;
		if (more == 0 || (filledUp && !directory.config().has("patch_size"))) {
			return;
		}
		String advice = "";
		if (more == -1) {
			advice = "; if it is there, and has got a PAD because it names none of its own, name one"
					+ " of its tokens as \"pad_token\" in tokenizer_config.json";
		}
		else if (filledUp) {
			advice = "; if it is there, the model's matrices have been filled up with " + more
					+ " rows: cut these off in the weights, and set vocab_size to " + tokenizerIds;
		}
		throw new InvalidInputException(directory.path().toString(),
				"its tokenizer has " + tokenizerIds + " ids and its model " + modelIds,
				"copy the tokenizer that the model was trained with into the directory" + advice);
	}

	private static int size(ModelDirectory directory, TensorFile weights, String name, int dimension) {
		TensorEntry entry = weights.entries().get(name);
		// an empty tensor takes no bytes, whatever it claims of its other dimension
		if (entry == null || entry.shape().size() != 2 || entry.shape().get(dimension) > LARGEST) {
			throw new InvalidInputException(directory.path().toString(),
					"the matrix " + name + " is missing or of no usable size",
					"give a language model with its autoencoder inside, as the reference writes it");
		}
		return entry.shape().get(dimension).intValue();
	}

	private static int layers(TensorFile weights, String prefix) {
		int count = 0;
		while (weights.entries().containsKey(prefix + count + ".layernorm.weight")) {
			count++;
		}
		return count;
	}

	private static int size(ConfigFile config, String key) {
		return config.integer(key, 1, LARGEST);
	}

	private static void specialIds(Map<String, Object> settings, int padId, int bosId, int eosId) {
		settings.put("pad_token_id", padId);
		settings.put("bos_token_id", bosId);
		settings.put("eos_token_id", eosId);
	}

}

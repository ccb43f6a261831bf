package io.calm.model;

import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ConfigFile;
import io.calm.checkpoint.ElementType;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.SafetensorsWriter;
import io.calm.checkpoint.TensorEntry;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Program;
import io.calm.graph.Variable;
import io.calm.head.EnergyConfig;
import io.calm.input.InvalidInputException;

/**
 * How models stand in files: the reference's {@code config.json} and the reference's
 * names of tensors. What cannot be known from a configuration is read off the tensors'
 * shapes.
 */
public final class ModelFiles {

	/** The configuration's file. */
	public static final String CONFIG = "config.json";

	/** The weights' file. */
	public static final String WEIGHTS = "model.safetensors";

	/** The subdirectory of a language model's autoencoder. */
	public static final String AUTOENCODER = "autoencoder";

	private static final String HEAD = "mlp_generator.";

	private static final int LARGEST = 1 << 24;

	private ModelFiles() {
	}

	/**
	 * The kind of a model, recognised by its tensors: {@code model_type} may be missing
	 * or wrong.
	 */
	public enum Kind {

		/** An autoencoder. */
		AUTOENCODER,
		/** A CALM language model with an energy head. */
		ENERGY,
		/** A CALM language model with a flow-matching or diffusion head. */
		DENOISING,
		/** A baseline Transformer. */
		BASELINE;

		/**
		 * Recognises a model.
		 * @param where it came from, for the error
		 * @param weights its tensors
		 * @return the kind
		 * @throws InvalidInputException if it is none of them
		 */
		public static Kind of(Path where, TensorFile weights) {
			Map<String, TensorEntry> entries = weights.entries();
			if (entries.containsKey("mlp_generator.noise_embd.weight")
					|| entries.containsKey("generative_head.noise_embd.weight")) {
				return ENERGY;
			}
			if (entries.containsKey("generative_head.net.input_proj.weight")) {
				return DENOISING;
			}
			if (entries.containsKey("encoder.embed_tokens.weight")) {
				return AUTOENCODER;
			}
			if (entries.containsKey("model.embed_tokens.weight") && entries.containsKey("lm_head.weight")) {
				return BASELINE;
			}
			throw new InvalidInputException(where.toString(),
					"its tensors are those of no model known here (autoencoder, CALM, baseline Transformer)",
					"give the directory of a model that this library or the reference implementation wrote");
		}

	}

	/**
	 * The shape of an autoencoder's directory.
	 * @param directory of an autoencoder
	 * @return the configuration
	 */
	public static AutoencoderConfig autoencoder(ModelDirectory directory) {
		ConfigFile config = directory.config();
		return new AutoencoderConfig(size(config, "vocab_size"), size(config, "patch_size"),
				size(config, "hidden_size"), size(config, "intermediate_size"), size(config, "latent_size"),
				config.integer("num_encoder_layers", 1, 4096), config.integer("num_decoder_layers", 1, 4096),
				config.number("ae_dropout", 0.15), config.number("kl_weight", 1e-3), config.number("kl_clamp", 0.5),
				config.number("rms_norm_eps", 1e-6), config.number("initializer_range", 0.02),
				config.integer("pad_token_id"), config.integer("bos_token_id"), config.integer("eos_token_id"));
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
		List<Long> embedding = shape(directory, weights, prefix + "encoder.embed_tokens.weight");
		List<Long> gate = shape(directory, weights, prefix + "encoder.encoder_layers.0.mlp.gate_proj.weight");
		List<Long> latent = shape(directory, weights, prefix + "decoder.latent_to_hidden.weight");
		return new AutoencoderConfig(Math.toIntExact(embedding.get(0)), size(config, "patch_size"),
				Math.toIntExact(embedding.get(1)), Math.toIntExact(gate.get(0)), Math.toIntExact(latent.get(1)),
				layers(weights, prefix + "encoder.encoder_layers."),
				layers(weights, prefix + "decoder.decoder_layers."), 0.15, 1e-3, 0.5, 1e-6, 0.02,
				config.integer("pad_token_id"), config.integer("bos_token_id"), config.integer("eos_token_id"));
	}

	/**
	 * The shape of a CALM language model.
	 * @param directory of the model
	 * @return the configuration
	 */
	public static CalmConfig calm(ModelDirectory directory) {
		ConfigFile config = directory.config();
		BackboneConfig backbone = backbone(config);
		EnergyConfig head = new EnergyConfig(backbone.hiddenSize(), size(config, "latent_size"),
				size(config, "noise_size"), config.integer("num_mlp_layers", 1, 4096),
				config.integer("num_samples", 8, 2, LARGEST), config.integer("num_targets", 100, 1, LARGEST),
				config.number("beta", 1.0), backbone.initializerRange());
		return new CalmConfig(size(config, "vocab_size"), size(config, "patch_size"), backbone, head,
				config.integer("pad_token_id"), config.integer("bos_token_id"), config.integer("eos_token_id"));
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
			throw new InvalidInputException(CONFIG,
					"num_attention_heads " + heads + " does not divide hidden_size " + hidden, "correct one of them");
		}
		return new BackboneConfig(hidden, size(config, "intermediate_size"),
				config.integer("num_hidden_layers", 1, 4096), heads, config.integer("num_key_value_heads", heads),
				config.integer("head_dim", hidden / heads), config.integer("max_position_embeddings", 2048),
				config.number("rope_theta", 1e4), config.number("rms_norm_eps", 1e-6),
				config.number("initializer_range", 0.02));
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
		settings.put("architectures", List.of("EnergyTransformer"));
		settings.put("model_type", "energy");
		settings.put("ae_path", AUTOENCODER);
		settings.put("vocab_size", config.vocabularySize());
		settings.put("patch_size", config.patchSize());
		BackboneConfig backbone = config.backbone();
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
		EnergyConfig head = config.head();
		settings.put("latent_size", head.latentSize());
		settings.put("noise_size", head.noiseSize());
		settings.put("num_mlp_layers", head.blocks());
		settings.put("num_samples", head.samples());
		settings.put("num_targets", head.targets());
		settings.put("beta", head.alpha());
		specialIds(settings, config.padId(), config.bosId(), config.eosId());
		return settings;
	}

	/**
	 * Sets variables from a file.
	 * @param program that owns the variables
	 * @param variables to set
	 * @param where the tensors came from, for the error
	 * @param weights the tensors
	 * @throws InvalidInputException if a tensor is missing or has another shape
	 */
	public static void load(Program program, List<Variable> variables, Path where, TensorFile weights) {
		load(program, variables, "", where, weights);
	}

	/**
	 * Sets the autoencoder inside a language model from an autoencoder's own file.
	 * @param program that owns the variables
	 * @param variables the autoencoder's, named as in a language model
	 * @param where the tensors came from, for the error
	 * @param weights the autoencoder's tensors
	 * @throws InvalidInputException if a tensor is missing or has another shape
	 */
	public static void loadAutoencoder(Program program, List<Variable> variables, Path where, TensorFile weights) {
		load(program, variables, CalmNetwork.AUTOENCODER, where, weights);
	}

	private static void load(Program program, List<Variable> variables, String removed, Path where,
			TensorFile weights) {
		Map<Variable, String> names = new LinkedHashMap<>();
		for (Variable variable : variables) {
			names.put(variable, nameInFile(variable.name().substring(removed.length()), variable, where, weights));
		}
		program.write(variables, (variable) -> weights.readFloats(names.getOrDefault(variable, variable.name())));
	}

	/**
	 * Writes variables to a file.
	 * @param program that owns the variables
	 * @param variables to write, by their names in the file; several names of one
	 * variable stand together
	 * @param file the safetensors file to create
	 */
	public static void save(Program program, Map<String, Variable> variables, Path file) {
		List<TensorEntry> entries = new ArrayList<>();
		variables.forEach((name, variable) -> entries.add(TensorEntry.of(name, ElementType.F32, variable.shape())));
		Iterator<String> names = variables.keySet().iterator();
		try (SafetensorsWriter writer = SafetensorsWriter.create(file, entries)) {
			program.read(variables.values().stream().distinct().toList(), (variable, values) -> {
				long copies = variables.values().stream().filter(variable::equals).count();
				for (long i = 0; i < copies; i++) {
					writer.write(names.next(), FloatBuffer.wrap(values));
				}
			});
		}
	}

	/**
	 * Adds a parameter under every name that it has in the reference's files.
	 * @param file the file's variables so far
	 * @param parameter the parameter's name
	 * @param variable that holds its value
	 */
	public static void add(Map<String, Variable> file, String parameter, Variable variable) {
		namesInFile(parameter).forEach((name) -> file.put(name, variable));
	}

	/**
	 * The reference writes what it shares twice: the head under both of its names, the
	 * tied embedding as the decoder's matrix too. It re-draws what it does not find.
	 */
	private static List<String> namesInFile(String name) {
		if (name.startsWith(HEAD)) {
			return List.of(name, "generative_head." + name.substring(HEAD.length()));
		}
		if (name.endsWith("encoder.embed_tokens.weight")) {
			return List.of(name, name.replace("encoder.embed_tokens.weight", "decoder.lm_head_weight"));
		}
		return List.of(name);
	}

	private static String nameInFile(String parameter, Variable variable, Path where, TensorFile weights) {
		for (String name : namesInFile(parameter)) {
			TensorEntry entry = weights.entries().get(name);
			if (entry != null) {
				List<Long> shape = Arrays.stream(variable.shape()).boxed().toList();
				if (!entry.shape().equals(shape)) {
					throw new InvalidInputException(
							where.toString(), "the tensor " + name + " has the shape " + entry.shape() + " where "
									+ CONFIG + " asks for " + shape,
							"give weights and configuration of the same model");
				}
				return name;
			}
		}
		throw new InvalidInputException(where.toString(), "the tensor " + parameter + " is missing",
				"give weights and configuration of the same model");
	}

	private static List<Long> shape(ModelDirectory directory, TensorFile weights, String name) {
		TensorEntry entry = weights.entries().get(name);
		if (entry == null || entry.shape().size() != 2) {
			throw new InvalidInputException(directory.path().toString(), "the matrix " + name + " is missing",
					"give a language model with its autoencoder inside, as the reference writes it");
		}
		return entry.shape();
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

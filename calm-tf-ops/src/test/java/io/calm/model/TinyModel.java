package io.calm.model;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ConfigFile;
import io.calm.checkpoint.ModelDirectory;
import io.calm.graph.Device;
import io.calm.graph.Precision;
import io.calm.graph.Program;
import io.calm.graph.ProgramOptions;
import io.calm.graph.Variable;
import io.calm.text.ByteTokenizer;
import io.calm.text.TokenStore;

/**
 * A model and a text so small that a test of the whole takes a second.
 */
public final class TinyModel {

	/** fp32 on the CPU, where sums have one order. */
	public static final ProgramOptions PROGRAM = new ProgramOptions(Device.CPU, Precision.FP32, false);

	private static final List<String> WORDS = List.of("a", "ä", "the", "cat", "sat", "on", "mat", "and", "was", "happy",
			"because", "it", "rained");

	private TinyModel() {
	}

	/**
	 * Over bytes.
	 * @return a builder of an autoencoder
	 */
	public static AutoencoderConfig.Builder autoencoder() {
		return AutoencoderConfig.builder(new ByteTokenizer().vocabularySize())
			.hiddenSize(16)
			.intermediateSize(32)
			.latentSize(8);
	}

	/**
	 * Two layers, two heads.
	 * @return a builder of a language model
	 */
	public static CalmConfig.Builder calm() {
		return CalmConfig.preset("nano").hiddenSize(16).heads(2).noiseSize(8).samples(4).targets(5);
	}

	/**
	 * Writes a language model with random weights.
	 * @param directory to write
	 * @param autoencoder its autoencoder
	 * @param scale of the head's last layer, which would begin at zero: how much the
	 * model's draws differ; 0 for a model that draws the same always
	 * @param endScale what the embedding of EOS is multiplied with: how often it is the
	 * most likely token
	 */
	public static void write(Path directory, AutoencoderConfig autoencoder, float scale, float endScale) {
		// a lead token is drawn by chance whatever the head does
		write(directory, ((scale == 0) ? calm().leadTokens(0) : calm()).build(autoencoder), autoencoder, scale,
				endScale);
	}

	/**
	 * Writes a language model with random weights.
	 * @param directory to write
	 * @param config of the language model
	 * @param autoencoder its autoencoder
	 * @param scale of the energy head's last layer
	 * @param endScale what the embedding of EOS is multiplied with
	 */
	public static void write(Path directory, CalmConfig config, AutoencoderConfig autoencoder, float scale,
			float endScale) {
		try (Program program = Program.build(PROGRAM, (builder) -> {
			CalmNetwork network = new CalmNetwork(builder.network(), config, autoencoder);
			// layers declare what they need when they are built
			network.decodeTokens(builder.floats(1, autoencoder.latentSize()).value());
		})) {
			List<Variable> variables = program.variables((name) -> true);
			program.initialize(variables, 5);
			Map<Variable, float[]> weights = new LinkedHashMap<>();
			program.read(variables, (variable, values) -> {
				if (variable.name().endsWith("final_layer.linears.2.weight")) {
					draw(variable.name(), values, scale);
				}
				else if (variable.shape().length == 2 || variable.name().endsWith(".bias")) {
					// first weights are for larger widths: in so small a model nothing
					// would depend on the prompt; without biases, zeros decode to zeros
					draw(variable.name(), values, 0.25f);
				}
				if (variable.name().equals("ae_model.encoder.embed_tokens.weight")) {
					for (int i = 0; i < autoencoder.hiddenSize(); i++) {
						values[autoencoder.eosId() * autoencoder.hiddenSize() + i] *= endScale;
					}
				}
				weights.put(variable, values);
			});
			program.write(variables, (variable) -> weights.getOrDefault(variable, new float[0]));
			ModelDirectory.write(directory, (target) -> {
				Map<String, Variable> files = new LinkedHashMap<>();
				variables.forEach((variable) -> ModelFiles.add(files, variable.name(), variable));
				ModelFiles.save(program, files, target.resolve(ModelFiles.WEIGHTS));
				ConfigFile.write(target.resolve(ModelDirectory.CONFIG), ModelConfigs.settings(config));
				new ByteTokenizer().save(target);
			});
		}
	}

	/**
	 * Two layers; two heads that share keys and values.
	 * @param vocabularySize V
	 * @param padId the id of PAD; BOS and EOS follow it
	 * @return a baseline Transformer
	 */
	public static BaselineConfig baseline(int vocabularySize, int padId) {
		return new BaselineConfig(vocabularySize,
				BackboneConfig.preset("nano").hiddenSize(16).heads(2).keyHeads(1).build(), padId, padId + 1, padId + 2);
	}

	/**
	 * Writes a baseline Transformer with random weights.
	 * @param directory to write
	 * @param config its shape
	 * @param endScale what the output vector of EOS is multiplied with: how often it is
	 * drawn
	 */
	public static void write(Path directory, BaselineConfig config, float endScale) {
		try (Program program = Program.build(PROGRAM,
				(builder) -> new BaselineTransformer(builder.network(), config))) {
			List<Variable> variables = program.variables((name) -> true);
			program.initialize(variables, 5);
			Map<Variable, float[]> weights = new LinkedHashMap<>();
			program.read(variables, (variable, values) -> {
				if (variable.shape().length == 2) {
					draw(variable.name(), values, 0.4f);
				}
				if (variable.name().equals("lm_head.weight")) {
					int width = config.backbone().hiddenSize();
					for (int i = 0; i < width; i++) {
						values[config.eosId() * width + i] *= endScale;
					}
				}
				weights.put(variable, values);
			});
			program.write(variables, (variable) -> weights.getOrDefault(variable, new float[0]));
			ModelDirectory.write(directory, (target) -> {
				Map<String, Variable> files = new LinkedHashMap<>();
				variables.forEach((variable) -> ModelFiles.add(files, variable.name(), variable));
				ModelFiles.save(program, files, target.resolve(ModelFiles.WEIGHTS));
				ConfigFile.write(target.resolve(ModelDirectory.CONFIG), ModelConfigs.settings(config));
				new ByteTokenizer().save(target);
			});
		}
	}

	/**
	 * Some sentences.
	 * @param seed of the words
	 * @return documents of different lengths
	 */
	public static TokenStore text(long seed) {
		Random random = new Random(seed);
		int[][] documents = new int[40][];
		for (int i = 0; i < documents.length; i++) {
			StringBuilder text = new StringBuilder();
			for (int word = random.nextInt(4, 30); word > 0; word--) {
				text.append(WORDS.get(random.nextInt(WORDS.size()))).append(' ');
			}
			documents[i] = document(text.toString());
		}
		return TokenStore.of(documents);
	}

	private static int[] document(String text) {
		int length = text.getBytes(StandardCharsets.UTF_8).length;
		ByteTokenizer tokenizer = new ByteTokenizer();
		int[] ids = new int[length + 2];
		ids[0] = tokenizer.bosId();
		System.arraycopy(tokenizer.encode(text), 0, ids, 1, length);
		ids[length + 1] = tokenizer.eosId();
		return ids;
	}

	private static void draw(String name, float[] values, float deviation) {
		Random random = new Random(name.hashCode());
		for (int i = 0; i < values.length; i++) {
			values[i] = deviation * (float) random.nextGaussian();
		}
	}

}

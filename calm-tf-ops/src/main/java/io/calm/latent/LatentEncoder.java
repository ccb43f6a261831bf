package io.calm.latent;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import io.calm.autoencoder.Autoencoder;
import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.Posterior;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Call;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelFiles;
import io.calm.model.ModelKind;
import io.calm.text.Tokenizer;
import org.tensorflow.types.TInt32;

/**
 * Texts as latent vectors: the posterior of an autoencoder (section 3 of the paper),
 * alone or inside a language model. Not for several threads.
 */
public final class LatentEncoder implements AutoCloseable {

	/** Patches of one call. */
	private static final int ROWS = 64;

	private final AutoencoderConfig config;

	private final Tokenizer tokenizer;

	private final Program program;

	private final Encoding encoding;

	private LatentEncoder(AutoencoderConfig config, Tokenizer tokenizer, Program program, Encoding encoding) {
		this.config = config;
		this.tokenizer = tokenizer;
		this.program = program;
		this.encoding = encoding;
	}

	/**
	 * {@code tokens [ROWS, K]} to {@code mean, deviation [ROWS, l], restored [ROWS, K]}.
	 */
	private record Encoding(EntryPoint entryPoint, Input<TInt32, int[]> tokens, Fetch<float[]> mean,
			Fetch<float[]> deviation, Fetch<int[]> restored) {
	}

	/**
	 * Opens the autoencoder of a model directory.
	 * @param directory of an autoencoder or a language model, with its tokenizer
	 * @param options device and precision
	 * @return the encoder; close it
	 * @throws InvalidInputException if there is none, such as in a baseline
	 */
	public static LatentEncoder open(Path directory, ProgramOptions options) {
		ModelDirectory model = ModelDirectory.open(directory);
		Tokenizer tokenizer = Tokenizer.load(model.requiredTokenizer());
		try (TensorFile weights = model.weights()) {
			ModelKind kind = ModelKind.of(directory, weights);
			if (kind == ModelKind.BASELINE) {
				throw new InvalidInputException(directory.toString(), "is a baseline, which has no latent vectors",
						"choose a CALM model or an autoencoder");
			}
			boolean alone = kind == ModelKind.AUTOENCODER;
			AutoencoderConfig config = alone ? ModelConfigs.autoencoder(model)
					: ModelConfigs.autoencoderOf(model, weights);
			Encoding[] encoding = new Encoding[1];
			Program program = Program.build(options, (builder) -> {
				encoding[0] = build(builder, alone ? "" : CalmNetwork.AUTOENCODER, config);
				ModelFiles.check(builder.network().variables().select((name) -> true), directory, weights);
			});
			program.prepare((built) -> ModelFiles.load(built, built.variables((name) -> true), directory, weights));
			return new LatentEncoder(config, tokenizer, program, encoding[0]);
		}
		catch (RuntimeException | Error ex) {
			tokenizer.close();
			throw ex;
		}
	}

	private static Encoding build(ProgramBuilder builder, String name, AutoencoderConfig config) {
		Autoencoder autoencoder = new Autoencoder(builder.network(), name, config);
		Input<TInt32, int[]> tokens = builder.ints(ROWS, config.patchSize());
		Posterior posterior = autoencoder.encode(tokens.value());
		Fetch<float[]> mean = Fetch.floats(posterior.mean());
		Fetch<float[]> deviation = Fetch.floats(posterior.deviation(builder.network().tf()));
		Fetch<int[]> restored = Fetch.ints(autoencoder.decodeTokens(posterior.mean()));
		return new Encoding(builder.entryPoint().fetching(mean, deviation, restored), tokens, mean, deviation,
				restored);
	}

	/**
	 * The patch size.
	 * @return K, tokens of a patch
	 */
	public int patchSize() {
		return this.config.patchSize();
	}

	/**
	 * The latent size.
	 * @return l, numbers of a vector
	 */
	public int latentSize() {
		return this.config.latentSize();
	}

	/**
	 * Encodes a text.
	 * @param text any; PAD stands before it where it is no whole number of patches long,
	 * as before a prompt
	 * @return its latent vectors
	 */
	public Latents encode(String text) {
		int[] tokens = wholePatches(this.tokenizer.encode(text));
		List<float[]> means = new ArrayList<>();
		List<float[]> deviations = new ArrayList<>();
		int size = this.config.latentSize();
		forEachBlock(tokens, (call, patches) -> {
			float[] mean = call.get(this.encoding.mean());
			float[] deviation = call.get(this.encoding.deviation());
			for (int i = 0; i < patches; i++) {
				means.add(Arrays.copyOfRange(mean, i * size, (i + 1) * size));
				deviations.add(Arrays.copyOfRange(deviation, i * size, (i + 1) * size));
			}
		});
		return new Latents(this.config.patchSize(), Arrays.stream(tokens).boxed().toList(), List.copyOf(means),
				List.copyOf(deviations));
	}

	/**
	 * The text of each patch.
	 * @param latents of this encoder
	 * @return as many as patches; a character that lies in two patches is in neither
	 */
	public List<String> texts(Latents latents) {
		List<String> texts = new ArrayList<>();
		int size = latents.patchSize();
		for (int i = 0; i < latents.patches(); i++) {
			texts.add(this.tokenizer.decode(latents.tokens()
				.subList(i * size, (i + 1) * size)
				.stream()
				.mapToInt(Integer::intValue)
				.filter((token) -> token != this.config.padId())
				.toArray()));
		}
		return texts;
	}

	/**
	 * Encodes a text and decodes the means of its posteriors.
	 * @param text the text, which may be empty
	 * @return what comes back
	 */
	public Reconstruction reconstruct(String text) {
		int[] ids = this.tokenizer.encode(text);
		int[] tokens = wholePatches(ids);
		int[] restored = new int[tokens.length];
		int[] done = new int[1];
		forEachBlock(tokens, (call, patches) -> {
			int count = patches * this.config.patchSize();
			System.arraycopy(call.get(this.encoding.restored()), 0, restored, done[0], count);
			done[0] += count;
		});
		int first = tokens.length - ids.length;
		List<Reconstruction.Difference> differences = new ArrayList<>();
		for (int i = first; i < tokens.length; i++) {
			if (tokens[i] != restored[i]) {
				differences.add(new Reconstruction.Difference(i - first, this.tokenizer.decode(tokens[i]),
						this.tokenizer.decode(restored[i])));
			}
		}
		return new Reconstruction(ids.length,
				this.tokenizer.decode(Arrays.copyOfRange(restored, first, restored.length)), List.copyOf(differences));
	}

	/** PAD first. */
	private int[] wholePatches(int[] ids) {
		int size = this.config.patchSize();
		int[] tokens = new int[(ids.length + size - 1) / size * size];
		int first = tokens.length - ids.length;
		Arrays.fill(tokens, 0, first, this.config.padId());
		System.arraycopy(ids, 0, tokens, first, ids.length);
		return tokens;
	}

	private interface Block {

		void read(Call call, int patches);

	}

	private void forEachBlock(int[] tokens, Block block) {
		int size = ROWS * this.config.patchSize();
		for (int from = 0; from < tokens.length; from += size) {
			int length = Math.min(size, tokens.length - from);
			int[] rows = new int[size];
			Arrays.fill(rows, this.config.padId());
			System.arraycopy(tokens, from, rows, 0, length);
			try (Call call = this.program.call(this.encoding.entryPoint()).feed(this.encoding.tokens(), rows).run()) {
				block.read(call, length / this.config.patchSize());
			}
		}
	}

	@Override
	public void close() {
		this.program.close();
		this.tokenizer.close();
	}

}

package io.calm.generation;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Call;
import io.calm.graph.Draws;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.graph.Variable;
import io.calm.input.InvalidInputException;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelFiles;
import io.calm.text.StreamingDecoder;
import io.calm.text.Tokenizer;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * A language model ready to generate at temperature 1: one native call per patch, with
 * the key/value cache inside the graph. It owns the native memory. One generation at a
 * time.
 */
public final class Generator implements AutoCloseable {

	private final CalmConfig config;

	private final int context;

	private final Tokenizer tokenizer;

	private final Program program;

	private final Input<TInt32, int[]> tokens;

	private final Input<TInt32, int[]> position;

	private final Input<TInt64, long[]> seed;

	private final Fetch<int[]> next;

	private final EntryPoint advance;

	private Generator(CalmConfig config, int context, Tokenizer tokenizer, TensorFile weights, Path directory,
			AutoencoderConfig autoencoder, ProgramOptions options) {
		this.config = config;
		this.context = context;
		this.tokenizer = tokenizer;
		try (ProgramBuilder builder = new ProgramBuilder(options)) {
			CalmNetwork network = new CalmNetwork(builder.network(), config, autoencoder);
			this.tokens = builder.ints(1, config.patchSize());
			this.position = builder.ints(1);
			this.seed = builder.seed();
			this.next = Fetch.ints(network.decodeTokens(network.head()
				.sample(network.hiddenStatesCached(this.tokens.value(), this.position.value(), context), 1,
						new Draws(builder.network().tf(), this.seed.value()))));
			this.advance = builder.entryPoint().fetching(this.next);
			this.program = builder.build();
		}
		this.program.initialize(this.program.variables((name) -> name.startsWith(CalmNetwork.CACHE)), 0);
		ModelFiles.load(this.program, this.program.variables((name) -> !name.startsWith(CalmNetwork.CACHE)), directory,
				weights);
	}

	/**
	 * Opens a model directory.
	 * @param directory of a CALM language model with its tokenizer
	 * @param context the longest text in patches, prompt included; at most the model's
	 * own
	 * @param options device and precision
	 * @return the generator
	 * @throws InvalidInputException if the directory holds no such model
	 */
	public static Generator open(Path directory, int context, ProgramOptions options) {
		ModelDirectory model = ModelDirectory.open(directory);
		Path tokenizerFile = model.tokenizer()
			.orElseThrow(() -> new InvalidInputException(directory.toString(), "has no tokenizer.json",
					"copy the one that the model was trained with into the directory"));
		Tokenizer tokenizer = Tokenizer.load(tokenizerFile);
		try (TensorFile weights = model.weights()) {
			if (ModelFiles.Kind.of(directory, weights) != ModelFiles.Kind.ENERGY) {
				throw new InvalidInputException(directory.toString(), "is no CALM model with an energy head",
						"give the directory of one");
			}
			CalmConfig config = ModelFiles.calm(model);
			if (tokenizer.vocabularySize() > config.vocabularySize()) {
				throw new InvalidInputException(directory.toString(),
						"its tokenizer has " + tokenizer.vocabularySize() + " ids and its model "
								+ config.vocabularySize(),
						"copy the tokenizer that the model was trained with into the directory");
			}
			return new Generator(config, Math.min(context, config.backbone().positions()), tokenizer, weights,
					directory, ModelFiles.autoencoderOf(model, weights), options);
		}
		catch (RuntimeException ex) {
			tokenizer.close();
			throw ex;
		}
	}

	/**
	 * Generates a continuation, lazily: each chunk is computed when it is asked for.
	 * @param prompt the beginning of the text; may be empty
	 * @param maxNewTokens the greatest number of new tokens
	 * @param seed of the draws
	 * @return the chunks; the last one has a finish reason
	 * @throws InvalidInputException if the prompt leaves no room in the context
	 */
	public Stream<Chunk> generate(String prompt, int maxNewTokens, long seed) {
		if (maxNewTokens < 1) {
			throw new InvalidInputException("max new tokens", "is " + maxNewTokens, "choose a positive number");
		}
		int[] encoded = this.tokenizer.encode(prompt);
		int[] patches = patches(encoded);
		int size = this.config.patchSize();
		if (patches.length / size >= this.context) {
			throw new InvalidInputException("prompt",
					"is " + (encoded.length + 1) + " tokens long, BOS included, where the context is "
							+ (long) this.context * size,
					"shorten the prompt to fewer than " + ((long) this.context - 1) * size
							+ " tokens or open the model with a longer context");
		}
		Iterator<Chunk> chunks = new Chunks(patches, maxNewTokens, seed);
		return StreamSupport.stream(Spliterators.spliteratorUnknownSize(chunks, Spliterator.ORDERED), false);
	}

	/** BOS and the prompt, with PADs before them up to a whole number of patches. */
	private int[] patches(int[] prompt) {
		int size = this.config.patchSize();
		int pads = Math.floorMod(-(prompt.length + 1), size);
		int[] patches = new int[pads + 1 + prompt.length];
		Arrays.fill(patches, 0, pads, this.config.padId());
		patches[pads] = this.config.bosId();
		System.arraycopy(prompt, 0, patches, pads + 1, prompt.length);
		return patches;
	}

	/** Adds a patch to the cache and draws the next one. */
	private int[] advance(int[] patch, int position, long seed) {
		try (Call call = this.program.call(this.advance)
			.feed(this.tokens, patch)
			.feed(this.position, new int[] { position })
			.feed(this.seed, new long[] { seed, position })
			.run()) {
			return call.get(this.next);
		}
	}

	@Override
	public void close() {
		this.program.close();
		this.tokenizer.close();
	}

	private final class Chunks implements Iterator<Chunk> {

		private final StreamingDecoder decoder = new StreamingDecoder(Generator.this.tokenizer);

		private final long seed;

		private int[] pending;

		private int position;

		private int remaining;

		private int index;

		private boolean finished;

		Chunks(int[] prompt, int maxNewTokens, long seed) {
			this.pending = prompt;
			this.remaining = maxNewTokens;
			this.seed = seed;
		}

		@Override
		public boolean hasNext() {
			return !this.finished;
		}

		@Override
		public Chunk next() {
			if (this.finished) {
				throw new NoSuchElementException();
			}
			int size = Generator.this.config.patchSize();
			int[] patch = this.pending;
			for (int from = 0; from < this.pending.length; from += size) {
				patch = advance(Arrays.copyOfRange(this.pending, from, from + size), this.position++, this.seed);
			}
			this.pending = patch;
			int length = Math.min(size, this.remaining);
			FinishReason reason = (length == this.remaining || this.position >= Generator.this.context)
					? FinishReason.LENGTH : null;
			for (int i = 0; i < length; i++) {
				if (patch[i] == Generator.this.config.eosId()) {
					length = i;
					reason = FinishReason.END;
				}
			}
			int[] tokens = Arrays.copyOf(patch, length);
			this.remaining -= length;
			this.finished = reason != null;
			String text = this.decoder.append(tokens);
			return new Chunk(this.index++, tokens, this.finished ? text + this.decoder.flush() : text, reason);
		}

	}

}

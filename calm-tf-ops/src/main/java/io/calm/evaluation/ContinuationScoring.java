package io.calm.evaluation;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.Posterior;
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
import io.calm.head.EnergyLoss;
import io.calm.input.InvalidInputException;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelFiles;
import io.calm.text.PromptTokens;
import io.calm.text.Tokenizer;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * Scores given continuations of a prompt by what a CALM model draws in their place. The
 * model has no probabilities; its draws after the true beginning are compared with each
 * patch of the text, as latent vectors (the energy score) and as tokens (Brier-n). The
 * same settings give the same scores.
 *
 * @param samples draws for each patch, 2 to 1000: more of them make scores more precise
 * @param complete whether the texts end: then EOS is part of them. Otherwise a last patch
 * that is not whole is left out
 * @param seed of the draws
 */
public record ContinuationScoring(int samples, boolean complete, long seed) {

	/** Draws of one call. */
	private static final int DRAWS = 512;

	private static final int MOST_SAMPLES = 1000;

	/** The exponent of the distances, as in the paper. */
	private static final double ALPHA = 1;

	/** Checks the number of draws. */
	public ContinuationScoring {
		if (samples < 2 || samples > MOST_SAMPLES) {
			throw new InvalidInputException("samples", "is " + samples, "choose from 2 to " + MOST_SAMPLES);
		}
	}

	/**
	 * A prompt with one of its continuations.
	 *
	 * @param tokens of whole patches, PAD first
	 * @param given patches of the prompt
	 */
	private record Sequence(int[] tokens, int given) {
	}

	/**
	 * Patches of sequences and what is computed of them.
	 */
	private record Scorer(int rows, EntryPoint beginning, Input<TInt32, int[]> tokens, Input<TInt32, int[]> documents,
			Fetch<float[]> states, EntryPoint drawing, Input<TFloat32, float[]> given, Input<TInt32, int[]> next,
			Input<TInt64, long[]> seed, Fetch<float[]> loss, Fetch<int[]> drawn) {
	}

	/**
	 * Scores texts that could follow a prompt. Opens the model, so that it is better to
	 * ask for several texts at once.
	 * @param directory of a CALM language model, with its tokenizer
	 * @param prompt the beginning that all texts have; may be empty
	 * @param texts that could follow it
	 * @param options device and precision
	 * @return a score for each text
	 * @throws InvalidInputException if it is a model of another kind, or a text is empty
	 * or longer than the model's context
	 */
	public List<ContinuationScore> score(Path directory, String prompt, List<String> texts, ProgramOptions options) {
		ModelDirectory model = ModelDirectory.open(directory);
		try (TensorFile weights = model.weights(); Tokenizer tokenizer = Tokenizer.load(model.requiredTokenizer())) {
			CalmConfig config = ModelConfigs.calm(model, weights);
			AutoencoderConfig autoencoder = ModelConfigs.autoencoderOf(model, weights);
			ModelConfigs.checkVocabulary(model, tokenizer.vocabularySize());
			List<Sequence> sequences = texts.stream().map((text) -> sequence(prompt, text, tokenizer, config)).toList();
			int patches = sequences.stream()
				.mapToInt((each) -> each.tokens().length / config.patchSize())
				.max()
				.orElse(1);
			Scorer[] scorer = new Scorer[1];
			try (Program program = Program.build(options, (builder) -> {
				CalmNetwork network = new CalmNetwork(builder.network(), config, autoencoder);
				ModelFiles.check(builder.network().variables().select((name) -> true), directory, weights);
				scorer[0] = scorer(builder, network, patches);
			})) {
				ModelFiles.load(program, program.variables((name) -> true), directory, weights);
				return sequences.stream()
					.map((sequence) -> score(program, scorer[0], sequence, patches, tokenizer, config))
					.toList();
			}
		}
	}

	/** The prompt ends with a patch, as in generation: PAD stands before it. */
	private Sequence sequence(String prompt, String text, Tokenizer tokenizer, CalmConfig config) {
		int size = config.patchSize();
		PromptTokens beginning = PromptTokens.of(prompt, tokenizer);
		int[] continuation = tokenizer.encode(beginning.space() + text);
		int given = (beginning.ids().length + size) / size;
		int length = this.complete ? (continuation.length + size) / size : continuation.length / size;
		if (continuation.length == 0 || length == 0) {
			throw new InvalidInputException("text",
					"is " + continuation.length + " tokens long, where a patch has " + size, "give a longer one");
		}
		int most = config.backbone().positions();
		if (given + length > most) {
			throw new InvalidInputException("prompt and text",
					"are " + (given + length) + " patches long together, where the model's context is " + most,
					"shorten one of them");
		}
		int[] tokens = new int[(given + length) * size];
		Arrays.fill(tokens, config.padId());
		int first = given * size - beginning.ids().length;
		tokens[first - 1] = config.bosId();
		System.arraycopy(beginning.ids(), 0, tokens, first, beginning.ids().length);
		int end = Math.min(continuation.length, length * size);
		System.arraycopy(continuation, 0, tokens, given * size, end);
		if (this.complete) {
			tokens[given * size + end] = config.eosId();
		}
		return new Sequence(tokens, given);
	}

	private Scorer scorer(ProgramBuilder builder, CalmNetwork network, int patches) {
		CalmConfig config = network.config();
		int rows = Math.max(1, DRAWS / this.samples);
		long latentSize = config.head().latentSize();
		Input<TInt32, int[]> tokens = builder.ints(patches, config.patchSize());
		Input<TInt32, int[]> documents = builder.ints(1, patches);
		Fetch<float[]> states = Fetch.floats(network.states(tokens.value(), documents.value()));

		Input<TFloat32, float[]> given = builder.floats(rows, network.stateSize());
		Input<TInt32, int[]> next = builder.ints(rows, config.patchSize());
		Input<TInt64, long[]> seed = builder.seed();
		Draws draws = new Draws(builder.network().tf(), seed.value());
		Operand<TInt32> owners = builder.network()
			.tf()
			.constant(IntStream.range(0, rows * this.samples).map((draw) -> draw / this.samples).toArray());
		Operand<TFloat32> noise = config.noise()
			.draw(builder.network(), draws, builder.network().tf().constant(rows * this.samples));
		Operand<TFloat32> vectors = builder.network()
			.reshape(network.latents(given.value(), owners, noise), rows, this.samples, latentSize);
		Posterior truth = network.posterior(next.value());
		Fetch<float[]> loss = Fetch.floats(
				EnergyLoss.of(builder.network(), vectors, truth, draws.normal(rows, this.samples, latentSize), ALPHA));
		Fetch<int[]> drawn = Fetch.ints(network.draw(given.value(), owners, noise));
		return new Scorer(rows, builder.entryPoint().fetching(states), tokens, documents, states,
				builder.entryPoint().fetching(loss, drawn), given, next, seed, loss, drawn);
	}

	private ContinuationScore score(Program program, Scorer scorer, Sequence sequence, int patches, Tokenizer tokenizer,
			CalmConfig config) {
		int size = config.patchSize();
		int length = sequence.tokens().length / size;
		int[] tokens = Arrays.copyOf(sequence.tokens(), patches * size);
		Arrays.fill(tokens, sequence.tokens().length, tokens.length, config.padId());
		int[] documents = new int[patches];
		Arrays.fill(documents, 0, length, 1);
		float[] states;
		try (Call call = program.call(scorer.beginning())
			.feed(scorer.tokens(), tokens)
			.feed(scorer.documents(), documents)
			.run()) {
			states = call.get(scorer.states());
		}
		int width = states.length / patches;
		Ending ending = new Ending(config.eosId(), config.padId());
		List<ContinuationScore.Patch> scores = new ArrayList<>();
		for (int from = sequence.given(); from < length; from += scorer.rows()) {
			int rows = Math.min(scorer.rows(), length - from);
			// the state of a patch predicts the one behind it
			float[] given = Arrays.copyOf(Arrays.copyOfRange(states, (from - 1) * width, (from - 1 + rows) * width),
					scorer.rows() * width);
			int[] next = Arrays.copyOf(Arrays.copyOfRange(tokens, from * size, (from + rows) * size),
					scorer.rows() * size);
			// the same draws for each text: where they begin alike, their scores are
			// alike
			try (Call call = program.call(scorer.drawing())
				.feed(scorer.given(), given)
				.feed(scorer.next(), next)
				.feed(scorer.seed(), new long[] { this.seed, from })
				.run()) {
				float[] loss = call.get(scorer.loss());
				int[] drawn = call.get(scorer.drawn());
				for (int i = 0; i < rows; i++) {
					int[][] draws = draws(drawn, i, size, ending);
					int[] truth = Arrays.copyOfRange(next, i * size, (i + 1) * size);
					scores.add(new ContinuationScore.Patch(text(truth, tokenizer, config), -loss[i],
							brier(draws, truth), share(draws, truth, size)));
				}
			}
		}
		return new ContinuationScore(List.copyOf(scores));
	}

	private int[][] draws(int[] drawn, int row, int size, Ending ending) {
		int[][] draws = new int[this.samples][];
		for (int i = 0; i < this.samples; i++) {
			int from = (row * this.samples + i) * size;
			int[] draw = Arrays.copyOfRange(drawn, from, from + size);
			draws[i] = ending.shown(draw, draw, size);
		}
		return draws;
	}

	private static String text(int[] patch, Tokenizer tokenizer, CalmConfig config) {
		return tokenizer.decode(
				Arrays.stream(patch).filter((token) -> token != config.padId() && token != config.eosId()).toArray());
	}

	/** The mean of what {@link Brier#estimate} says of all pairs of draws. */
	static List<Double> brier(int[][] draws, int[] truth) {
		int count = draws.length;
		return IntStream.rangeClosed(1, Math.min(truth.length, BrierScore.LENGTH)).mapToObj((n) -> {
			long pairs = 0;
			for (int i = 0; i < count; i++) {
				for (int j = i + 1; j < count; j++) {
					pairs += Arrays.equals(draws[i], 0, n, draws[j], 0, n) ? 1 : 0;
				}
			}
			return 2 * share(draws, truth, n) - 2.0 * pairs / count / (count - 1);
		}).toList();
	}

	/** Of the draws that begin with the same n tokens. */
	private static double share(int[][] draws, int[] truth, int n) {
		return (double) Arrays.stream(draws).filter((draw) -> Arrays.equals(draw, 0, n, truth, 0, n)).count()
				/ draws.length;
	}

}

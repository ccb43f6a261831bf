package io.calm.evaluation;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Call;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.input.InvalidInputException;
import io.calm.model.BackboneLayer;
import io.calm.model.BaselineConfig;
import io.calm.model.BaselineTransformer;
import io.calm.model.ModelFiles;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.text.Corpus;
import io.calm.text.TokenStore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

class LikelihoodScoringTest {

	/** So few that all continuations can be tried. */
	private static final BaselineConfig CONFIG = TinyModel.baseline(7, 0);

	private static final int LENGTH = 8;

	private static final int[] DOCUMENT = { 1, 5, 3, 6, 4, 3, 5, 6 };

	private final Path model;

	LikelihoodScoringTest(@TempDir Path directory) {
		this.model = directory.resolve("model");
		TinyModel.write(this.model, CONFIG, 1);
	}

	/** The same document again and again, always with new draws. */
	@Test
	void isTheExactBrierScoreInTheMean() {
		int copies = 1500;
		int[][] documents = new int[copies][];
		Arrays.fill(documents, DOCUMENT);
		try (TokenStore data = TokenStore.of(documents); Enumeration exact = new Enumeration(this.model, CONFIG)) {
			LikelihoodScore score = new LikelihoodScoring(2, 4, 50, 0, 1).score(this.model, data, TinyModel.PROGRAM);
			// positions 1 to 4 begin four tokens, position 4 a patch too
			assertThat(score.everyPosition().positions()).isEqualTo(4L * copies);
			assertThat(score.patchAligned().positions()).isEqualTo(copies);
			double[] every = new double[4];
			for (int first = 1; first <= 4; first++) {
				double[] brier = exact.brier(first);
				for (int n = 0; n < 4; n++) {
					every[n] += brier[n] / 4;
				}
			}
			assertBrier(score.everyPosition(), every);
			assertBrier(score.patchAligned(), exact.brier(4));
			assertThat(score.everyPosition().brier()[0]).as("Brier-1 is exact").isCloseTo(every[0], within(1e-6));

			double nats = 0;
			for (int i = 1; i < LENGTH; i++) {
				nats -= Math.log(exact.next(Arrays.copyOf(DOCUMENT, i))[DOCUMENT[i]]) / (LENGTH - 1);
			}
			assertThat(score.tokens()).isEqualTo((LENGTH - 1L) * copies);
			assertThat(score.crossEntropy()).isCloseTo(nats, within(1e-5));
			assertThat(score.perplexity()).isCloseTo(Math.exp(nats), within(1e-4));
			assertThat(score.crossEntropyError()).as("all documents are the same").isLessThan(1e-6);
		}
	}

	/** Of two tokens after a prompt, all paths are tried; behind an EOS there is one. */
	@Test
	void anAnswerIsScoredUpToItsEnd(@TempDir Path directory) throws IOException {
		BaselineConfig bytes = TinyModel.baseline(new ByteTokenizer().vocabularySize(), 0);
		Path model = directory.resolve("bytes");
		TinyModel.write(model, bytes, -14);
		Path answers = Files.writeString(directory.resolve("answers.jsonl"),
				"{\"prompt\": \"q\", \"completion\": \"a\"}\n".repeat(1500));
		int[] document = { 1, new ByteTokenizer().encode("q")[0], new ByteTokenizer().encode("a")[0], 2 };
		try (TokenStore data = TokenStore.of(Corpus.of(answers), new ByteTokenizer());
				Enumeration exact = new Enumeration(model, bytes)) {
			assertThat(exact.next(Arrays.copyOf(document, 2))[2]).as("paths that end weigh").isBetween(0.05f, 0.9f);
			LikelihoodScore score = new LikelihoodScoring(2, 2, 50, 0, 1).score(model, data, TinyModel.PROGRAM);
			assertThat(score.tokens()).as("the prompt is not scored").isEqualTo(2 * 1500);
			assertThat(score.everyPosition().positions()).isEqualTo(2 * 1500);
			assertThat(score.patchAligned().positions()).isEqualTo(1500);
			double[] first = { exact.next(Arrays.copyOf(document, 2))[document[2]], 0 };
			first[1] = first[0] * exact.next(Arrays.copyOf(document, 3))[2];
			double[] brier = exact.brierOfTwo(Arrays.copyOf(document, 2), first);
			for (int n = 0; n < 2; n++) {
				assertThat(score.patchAligned().brier()[n]).as("Brier-" + (n + 1))
					.isCloseTo(brier[n], within(1e-5 + 4 * score.patchAligned().brierErrors()[n]));
			}
			double end = exact.next(Arrays.copyOf(document, 3))[2];
			double[] second = exact.brierOfTwo(Arrays.copyOf(document, 3), new double[] { end, end });
			for (int n = 0; n < 2; n++) {
				assertThat(score.everyPosition().brier()[n]).as("Brier-" + (n + 1))
					.isCloseTo((brier[n] + second[n]) / 2, within(1e-5 + 4 * score.everyPosition().brierErrors()[n]));
			}
			assertThat(score.crossEntropy()).isCloseTo(-Math.log(first[1]) / 2, within(1e-5));
		}
	}

	private static void assertBrier(BrierScore score, double[] exact) {
		for (int n = 0; n < 4; n++) {
			assertThat(score.brier()[n]).as("Brier-" + (n + 1))
				.isCloseTo(exact[n], within(1e-6 + 4 * score.brierErrors()[n]));
			assertThat(score.brierErrors()[n]).isLessThan(0.01);
		}
		assertThat(score.brierErrors()[3]).as("the last one is drawn").isPositive();
	}

	/** As CALM's positions: behind a patch, with four tokens of the document to come. */
	@Test
	void knowsTheEndsOfDocumentsAndBlocks() {
		int[] document = { 1, 5, 3, 6, 4, 3, 5, 6, 4, 3 };
		try (TokenStore data = TokenStore.of(document, document)) {
			// blocks of 3 patches: each document is one of them, with 2 PADs at its end
			LikelihoodScore score = new LikelihoodScoring(3, 4, 2, 0, 1).score(this.model, data, TinyModel.PROGRAM);
			assertThat(score.tokens()).isEqualTo(18);
			assertThat(score.everyPosition().positions()).isEqualTo(12);
			assertThat(score.patchAligned().positions()).isEqualTo(2);
			// blocks of 2 patches: the first token of a block is not predicted
			score = new LikelihoodScoring(2, 4, 2, 0, 1).score(this.model, data, TinyModel.PROGRAM);
			assertThat(score.tokens()).isEqualTo(7 + 1 + 3 + 5);
			assertThat(score.patchAligned().positions()).isEqualTo(1);
		}
	}

	@Test
	void scoresNoMoreThanTheLimitAndDependsOnItsSeedOnly() {
		int[][] documents = new int[30][];
		Arrays.fill(documents, DOCUMENT);
		try (TokenStore data = TokenStore.of(documents)) {
			LikelihoodScore score = score(data, 7, 1);
			assertThat(score.patchAligned().positions()).isEqualTo(7);
			assertThat(score.everyPosition().positions()).isEqualTo(28);
			assertThat(score(data, 7, 1)).usingRecursiveComparison().isEqualTo(score);
			assertThat(score(data, 7, 2).patchAligned().brier()).isNotEqualTo(score.patchAligned().brier());
		}
	}

	@Test
	void refusesOtherModels(@TempDir Path directory) {
		Path calm = directory.resolve("calm");
		TinyModel.write(calm, TinyModel.autoencoder().build(), 0.25f, 1);
		try (TokenStore data = TinyModel.text(4)) {
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> new LikelihoodScoring(2, 4, 2, 0, 1).score(calm, data, TinyModel.PROGRAM))
				.withMessageContaining(calm.toString())
				.withMessageContaining("is no baseline Transformer");
		}
	}

	private LikelihoodScore score(TokenStore data, long limit, long seed) {
		return new LikelihoodScoring(2, 4, 2, limit, seed).score(this.model, data, TinyModel.PROGRAM);
	}

	/** The network over one sequence at a time, and all that may follow it. */
	private static final class Enumeration implements AutoCloseable {

		private final Program program;

		private final Input<TInt32, int[]> tokens;

		private final Fetch<float[]> probabilities;

		private final EntryPoint predict;

		private final int vocabulary;

		Enumeration(Path directory, BaselineConfig config) {
			this.vocabulary = config.vocabularySize();
			try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM);
					TensorFile weights = ModelDirectory.open(directory).weights()) {
				Ops tf = builder.network().tf();
				BaselineTransformer baseline = new BaselineTransformer(builder.network(), config);
				this.tokens = builder.ints(LENGTH, 1);
				Operand<TFloat32> hidden = baseline.embed(this.tokens.value());
				for (BackboneLayer layer : baseline.layers(tf.constant(new int[1][LENGTH]))) {
					hidden = layer.function().apply(hidden);
				}
				this.probabilities = Fetch.floats(tf.nn.softmax(baseline.logits(hidden)));
				this.predict = builder.entryPoint().fetching(this.probabilities);
				this.program = builder.build();
				ModelFiles.load(this.program, this.program.variables((name) -> true), directory, weights);
			}
		}

		/** The distribution of the token after some. */
		float[] next(int[] prefix) {
			try (Call call = this.program.call(this.predict).feed(this.tokens, Arrays.copyOf(prefix, LENGTH)).run()) {
				return Arrays.copyOfRange(call.get(this.probabilities), (prefix.length - 1) * this.vocabulary,
						prefix.length * this.vocabulary);
			}
		}

		/** {@code 2 P(y) − Σ P(x)²} of the n tokens from a position on, n = 1..4. */
		double[] brier(int first) {
			int[] prefix = Arrays.copyOf(DOCUMENT, first);
			double[] brier = new double[4];
			double likelihood = 1;
			for (int n = 0; n < 4; n++) {
				likelihood *= next(Arrays.copyOf(DOCUMENT, first + n))[DOCUMENT[first + n]];
				brier[n] = 2 * likelihood;
			}
			collide(prefix, 1, 0, brier);
			return brier;
		}

		/** The same of two tokens with this likelihood, where 2 ends a path. */
		double[] brierOfTwo(int[] prefix, double[] likelihood) {
			double[] brier = { 2 * likelihood[0], 2 * likelihood[1] };
			float[] next = next(prefix);
			int[] path = Arrays.copyOf(prefix, prefix.length + 1);
			for (int token = 0; token < next.length; token++) {
				double square = (double) next[token] * next[token];
				brier[0] -= square;
				path[prefix.length] = token;
				double after = 0;
				for (float probability : next(path)) {
					after += (double) probability * probability;
				}
				brier[1] -= square * ((token == 2) ? 1 : after);
			}
			return brier;
		}

		private void collide(int[] prefix, double probability, int n, double[] brier) {
			float[] next = next(prefix);
			for (int token = 0; token < next.length; token++) {
				double longer = probability * next[token];
				brier[n] -= longer * longer;
				if (n < 3) {
					int[] path = Arrays.copyOf(prefix, prefix.length + 1);
					path[prefix.length] = token;
					collide(path, longer, n + 1, brier);
				}
			}
		}

		@Override
		public void close() {
			this.program.close();
		}

	}

}

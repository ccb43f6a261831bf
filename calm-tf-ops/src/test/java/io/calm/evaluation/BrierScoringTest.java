package io.calm.evaluation;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.generation.GenerationEngine;
import io.calm.graph.Call;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelFiles;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.text.Corpus;
import io.calm.text.TokenStore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

class BrierScoringTest {

	private final Path model;

	BrierScoringTest(@TempDir Path directory) {
		this.model = directory.resolve("model");
	}

	/** A model that always draws the same patch c: Brier-n is 2 P(first n of c) - 1. */
	@Test
	void comparesPrefixesOfPatches() {
		TinyModel.write(this.model, TinyModel.autoencoder().build(), 0, 1);
		int[] c;
		try (GenerationEngine engine = GenerationEngine.open(this.model,
				(options) -> options.program(TinyModel.PROGRAM))) {
			c = engine.generate("", (request) -> request.maxNewTokens(4)).iterator().next().tokens();
		}
		// a PAD would be no truth to compare with
		assertThat(c).hasSize(4).doesNotContain(0);
		// the beginning, which is not predicted; patches that agree in 4, 3, 2, 1, 0
		// places; one with PADs, which does not count
		int[] document = new int[26];
		Arrays.fill(document, 0, 4, 1);
		for (int patch = 1; patch <= 5; patch++) {
			System.arraycopy(c, 0, document, patch * 4, 4);
			if (patch > 1) {
				document[patch * 4 + 5 - patch] = (c[5 - patch] == 50) ? 51 : 50;
			}
		}
		Arrays.fill(document, 24, 26, 60);
		try (TokenStore data = TokenStore.of(document, document)) {
			BrierScore score = new BrierScoring(7, 2, 0, 1).score(this.model, data, TinyModel.PROGRAM);
			assertThat(score.positions()).isEqualTo(10);
			assertThat(score.brier())
				.containsExactly(new double[] { 2 * 0.8 - 1, 2 * 0.6 - 1, 2 * 0.4 - 1, 2 * 0.2 - 1 }, within(1e-12));
			assertThat(score.brierLm()).isZero();
			// ten estimates of 1 or -1 with the means above: their standard errors, up to
			// the
			// noise of a bootstrap of 1000 replicates
			double large = Math.sqrt((1 - 0.6 * 0.6) / 10);
			double larger = Math.sqrt((1 - 0.2 * 0.2) / 10);
			assertThat(score.brierErrors()).containsExactly(new double[] { large, larger, larger, large },
					within(0.03));
		}
	}

	@Test
	void dependsOnItsSeedOnly() {
		TinyModel.write(this.model, TinyModel.autoencoder().build(), 0.25f, 1);
		try (TokenStore data = TinyModel.text(4)) {
			BrierScore score = score(data, 0, 1);
			assertThat(score(data, 0, 1)).usingRecursiveComparison().isEqualTo(score);
			// with other draws other pairs are equal
			assertThat(score(data, 0, 2).brier()).isNotEqualTo(score.brier());
			assertThat(score.positions()).isGreaterThan(100);
			assertThat(score.brierErrors()[0]).isBetween(1e-6, 0.5);
		}
	}

	@Test
	void scoresNoMoreThanTheLimit() {
		TinyModel.write(this.model, TinyModel.autoencoder().build(), 0.25f, 1);
		try (TokenStore data = TinyModel.text(4)) {
			long all = score(data, 0, 1).positions();
			assertThat(score(data, 7, 1).positions()).isEqualTo(7);
			// in the middle of the second call
			assertThat(score(data, 40, 1).positions()).isEqualTo(40);
			assertThat(score(data, all + 1, 1).positions()).isEqualTo(all);
		}
	}

	/** A model that always draws the token c: Brier-n is 2 P(c n times) - 1. */
	@ParameterizedTest
	@ValueSource(ints = { 1, 2, 3 })
	void rollsOutShorterPatches(int patchSize) {
		TinyModel.write(this.model, TinyModel.autoencoder().patchSize(patchSize).build(), 0, 1);
		int[] c;
		try (GenerationEngine engine = GenerationEngine.open(this.model,
				(options) -> options.program(TinyModel.PROGRAM))) {
			c = engine.generate("", (request) -> request.maxNewTokens(patchSize)).iterator().next().tokens();
		}
		assertThat(c).hasSize(patchSize).doesNotContain(0);
		int patches = 12;
		int[] document = new int[patches * patchSize];
		Arrays.setAll(document, (i) -> (i < 7 * patchSize) ? c[i % patchSize] : 50);
		try (TokenStore data = TokenStore.of(document, document, document)) {
			BrierScore score = new BrierScoring(patches, 2, 0, 1).score(this.model, data, TinyModel.PROGRAM);
			int drawn = (4 + patchSize - 1) / patchSize;
			int positions = patches - drawn;
			assertThat(score.positions()).isEqualTo(3 * positions);
			for (int n = 1; n <= 4; n++) {
				int right = 0;
				for (int i = 1; i <= positions; i++) {
					right += (i * patchSize + n <= 7 * patchSize) ? 1 : 0;
				}
				assertThat(score.brier()[n - 1]).isCloseTo(2.0 * right / positions - 1, within(1e-12));
			}
		}
	}

	/**
	 * A model that always draws EOS, on answers of which three in four say nothing: each
	 * of them is right whatever it draws behind the end, and no prompt is scored.
	 */
	@ParameterizedTest
	@ValueSource(ints = { 1, 2, 3, 4 })
	void scoresAnswersUpToTheirEnd(int patchSize, @TempDir Path directory) throws IOException {
		TinyModel.write(this.model, TinyModel.autoencoder().patchSize(patchSize).build(), 0, 100);
		try (GenerationEngine engine = GenerationEngine.open(this.model,
				(options) -> options.program(TinyModel.PROGRAM))) {
			assertThat(engine.generate("", (request) -> request.maxNewTokens(4)).text()).isEmpty();
		}
		Path answers = Files.writeString(directory.resolve("answers.jsonl"), """
				{"prompt": "Say nothing.", "completion": ""}
				{"prompt": "Nothing at all!", "completion": ""}
				{"prompt": " ", "completion": ""}
				{"prompt": "What comes after y?", "completion": "z"}
				""");
		try (TokenStore data = TokenStore.of(Corpus.of(answers), new ByteTokenizer())) {
			BrierScore score = new BrierScoring(24 / patchSize + 1, 2, 0, 1).score(this.model, data, TinyModel.PROGRAM);
			// of "z" and its end, single tokens are two positions, of which one is right
			int wrong = 1;
			int right = (patchSize == 1) ? 4 : 3;
			assertThat(score.positions()).isEqualTo(right + wrong);
			for (int n = 0; n < 4; n++) {
				assertThat(score.brier()[n]).isCloseTo((double) (right - wrong) / (right + wrong), within(1e-12));
			}
		}
	}

	/**
	 * All positions at once score what positions one by one do: on a text of the model's
	 * own, so that draws meet the truth.
	 */
	@ParameterizedTest
	@ValueSource(ints = { 1, 2, 3 })
	void scoresWhatPositionsOneByOneDo(int patchSize) {
		AutoencoderConfig autoencoder = TinyModel.autoencoder().patchSize(patchSize).build();
		TinyModel.write(this.model, autoencoder, 0.045f, 1);
		int patches = 10;
		int drawn = (4 + patchSize - 1) / patchSize;
		int repeats = 100;
		try (OneByOne oneByOne = OneByOne.open(this.model, repeats, patches)) {
			SplittableRandom random = new SplittableRandom(1);
			List<int[]> text = new ArrayList<>(List.of(new int[patchSize]));
			Arrays.fill(text.get(0), 5);
			while (text.size() < patches) {
				text.add(oneByOne.draw(Collections.nCopies(repeats, text), random).get(0));
			}
			int[] document = text.stream().flatMapToInt(Arrays::stream).toArray();
			Brier expected = new Brier();
			double[] sums = new double[4];
			double[] squares = new double[4];
			try (TokenStore data = TokenStore.of(repeated(document, 50))) {
				for (int i = 1; i + drawn <= patches; i++) {
					List<List<int[]>> paths = new ArrayList<>();
					List<List<int[]>> others = new ArrayList<>();
					for (int repeat = 0; repeat < repeats; repeat++) {
						paths.add(new ArrayList<>(text.subList(0, i)));
						others.add(new ArrayList<>());
					}
					for (int step = 0; step < drawn; step++) {
						append(others, oneByOne.draw(paths, random));
						append(paths, oneByOne.draw(paths, random));
					}
					for (int repeat = 0; repeat < repeats; repeat++) {
						List<int[]> path = paths.get(repeat);
						expected.add(repeat, flat(path.subList(i, path.size())), flat(others.get(repeat)),
								flat(text.subList(i, i + drawn)), patchSize);
					}
				}
				BrierScore naive = expected.score();
				for (int seed = 0; seed < 8; seed++) {
					double[] brier = new BrierScoring(patches, 10, 0, seed).score(this.model, data, TinyModel.PROGRAM)
						.brier();
					for (int n = 0; n < 4; n++) {
						sums[n] += brier[n] / 8;
						squares[n] += brier[n] * brier[n] / 8;
					}
				}
				for (int n = 0; n < 4; n++) {
					double error = Math.hypot(naive.brierErrors()[n],
							Math.sqrt(Math.max(0, squares[n] - sums[n] * sums[n]) / 7));
					assertThat(sums[n]).as("Brier-%d ± %f", n + 1, error)
						.isCloseTo(naive.brier()[n], within(4 * error));
					// else every draw is the same
					assertThat(naive.brier()[n]).isBetween(-0.98, 0.98);
				}
			}
		}
	}

	private static int[][] repeated(int[] document, int times) {
		int[][] documents = new int[times][];
		Arrays.fill(documents, document);
		return documents;
	}

	private static void append(List<List<int[]>> texts, List<int[]> patches) {
		for (int i = 0; i < texts.size(); i++) {
			texts.get(i).add(patches.get(i));
		}
	}

	private static int[] flat(List<int[]> patches) {
		return patches.stream().flatMapToInt(Arrays::stream).toArray();
	}

	/**
	 * Draws the next patches of texts of one length, computed from their beginnings each
	 * time.
	 */
	private record OneByOne(Program program, EntryPoint next, Input<TInt32, int[]> tokens,
			Input<TInt32, int[]> positions, Input<TFloat32, float[]> noise, Fetch<int[]> drawn, int size,
			CalmConfig config) implements AutoCloseable {

		static OneByOne open(Path directory, int texts, int patches) {
			ModelDirectory model = ModelDirectory.open(directory);
			try (TensorFile weights = model.weights(); ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
				CalmConfig config = ModelConfigs.calm(model, weights);
				Ops tf = builder.network().tf();
				CalmNetwork network = new CalmNetwork(builder.network(), config,
						ModelConfigs.autoencoderOf(model, weights));
				Input<TInt32, int[]> tokens = builder.ints((long) texts * patches, config.patchSize());
				Input<TInt32, int[]> positions = builder.ints(texts);
				Input<TFloat32, float[]> noise = builder.floats(texts, config.noise().size());
				Operand<TFloat32> hidden = tf.gather(
						network.states(tokens.value(), tf.constant(new int[texts][patches])), positions.value(),
						tf.constant(0));
				int[] owners = IntStream.range(0, texts).toArray();
				Fetch<int[]> drawn = Fetch.ints(network.draw(hidden, tf.constant(owners), noise.value()));
				EntryPoint next = builder.entryPoint().fetching(drawn);
				Program program = builder.build();
				ModelFiles.load(program, program.variables((name) -> true), directory, weights);
				return new OneByOne(program, next, tokens, positions, noise, drawn, patches, config);
			}
		}

		List<int[]> draw(List<List<int[]>> texts, SplittableRandom random) {
			int width = this.config.patchSize();
			int[] fed = new int[texts.size() * this.size * width];
			int[] last = new int[texts.size()];
			for (int i = 0; i < last.length; i++) {
				int[] text = flat(texts.get(i));
				System.arraycopy(text, 0, fed, i * this.size * width, text.length);
				last[i] = i * this.size + texts.get(i).size() - 1;
			}
			try (Call call = this.program.call(this.next)
				.feed(this.tokens, fed)
				.feed(this.positions, last)
				.feed(this.noise, this.config.noise().draw(random, last.length))
				.run()) {
				int[] all = call.get(this.drawn);
				return IntStream.range(0, last.length)
					.mapToObj((i) -> Arrays.copyOfRange(all, i * width, (i + 1) * width))
					.toList();
			}
		}

		@Override
		public void close() {
			this.program.close();
		}

	}

	private BrierScore score(TokenStore data, long limit, long seed) {
		return new BrierScoring(16, 2, limit, seed).score(this.model, data, TinyModel.PROGRAM);
	}

}

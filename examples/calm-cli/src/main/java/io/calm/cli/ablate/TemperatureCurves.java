package io.calm.cli.ablate;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.evaluation.BrierScore;
import io.calm.graph.Call;
import io.calm.graph.Categorical;
import io.calm.graph.Draws;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.model.BaselineConfig;
import io.calm.model.BaselineTransformer;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelFiles;
import io.calm.model.Rollout;
import io.calm.sampling.BatchSampler;
import io.calm.sampling.ExactSampler;
import io.calm.sampling.PatchSampler;
import io.calm.sampling.PatchSource;
import io.calm.sampling.SampledPatch;
import io.calm.text.TokenBatch;
import io.calm.text.TokenBlocks;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * How often what is sampled at a temperature is right, and how often two samples are the
 * same: for n = 1..4 the first n tokens after a position, and the mean over n. Both
 * samplers of a CALM model choose among draws of the model that are made once for each
 * position, those of the two samples apart from each other.
 *
 * @param material text that was not trained on
 * @param scale of blocks and positions
 * @param program device and precision
 */
record TemperatureCurves(Material material, Scale scale, ProgramOptions program) {

	private static final int N = BrierScore.LENGTH;

	private static final double[] TEMPERATURES = { 1, 0.8, 2.0 / 3, 0.5, 0.4, 1.0 / 3, 0.25, 0.2 };

	/** What a language model of tokens can be sampled at. */
	private static final double[] BASELINE_TEMPERATURES = { 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2 };

	private static final int[] CANDIDATES = { 10, 50, 200 };

	/** Of the exact sampler; as many draws as there are for a sample. */
	private static final int BUDGET = 1000;

	/** Positions are this far apart, so that they have little in common. */
	private static final int APART = 7;

	private static final int MOST_POSITIONS = 1000;

	List<Point> of(Path model, boolean baseline) {
		return baseline ? ofBaseline(model) : ofCalm(model);
	}

	/** A place in the text and what really comes there. */
	private record Place(TokenBatch block, int patch, int[] truth) {
	}

	private List<Place> places(int patchSize) {
		TokenBlocks blocks = TokenBlocks.sequential(this.material.unseen(), patchSize, this.scale.patches(patchSize),
				this.material.padId());
		List<Place> places = new ArrayList<>();
		long most = Math.min(MOST_POSITIONS, this.scale.positions());
		int seen = 0;
		for (long b = 0; b < blocks.blocks() && places.size() < most; b++) {
			TokenBatch block = blocks.batch(1, b);
			for (int i = 0; i + 1 < block.patches() && places.size() < most; i++) {
				int from = (i + 1) * patchSize;
				int to = from + N;
				boolean whole = to <= block.tokens().length && block.documents()[i] != 0
						&& block.documents()[i] == block.documents()[(to - 1) / patchSize];
				if (whole && seen++ % APART == 0) {
					int[] truth = Arrays.copyOfRange(block.tokens(), from, to);
					if (Arrays.stream(truth).noneMatch((token) -> token == this.material.padId())) {
						places.add(new Place(block, i, truth));
					}
				}
			}
		}
		return places;
	}

	private List<Point> ofCalm(Path directory) {
		List<Setting> settings = settings();
		ModelDirectory model = ModelDirectory.open(directory);
		try (TensorFile weights = model.weights(); ProgramBuilder builder = new ProgramBuilder(this.program)) {
			CalmConfig config = ModelConfigs.calm(model, weights);
			CalmNetwork network = new CalmNetwork(builder.network(), config,
					ModelConfigs.autoencoderOf(model, weights));
			int size = config.patchSize();
			int patches = this.scale.patches(size);
			Input<TInt32, int[]> tokens = builder.ints(patches, size);
			Input<TInt32, int[]> documents = builder.ints(1, patches);
			Input<TInt32, int[]> patch = builder.ints(1);
			Input<TFloat32, float[]> noise = builder.floats(-1, config.noise().size());
			Operand<TFloat32> states = builder.network()
				.tf()
				.gather(network.states(tokens.value(), documents.value()), patch.value(),
						builder.network().tf().constant(0));
			Input<TInt32, int[]> owners = builder.ints(-1);
			Fetch<int[]> drawn = Fetch.ints(network.draw(states, owners.value(), noise.value()));
			EntryPoint draw = builder.entryPoint().fetching(drawn);
			try (Program program = builder.build()) {
				ModelFiles.load(program, program.variables((name) -> true), directory, weights);
				Random random = new Random(this.scale.seed());
				for (Place place : places(size)) {
					int[] all;
					try (Call call = program.call(draw)
						.feed(tokens, place.block().tokens())
						.feed(documents, place.block().documents())
						.feed(patch, new int[] { place.patch() })
						.feed(owners, new int[2 * BUDGET])
						.feed(noise, config.noise().draw(random, 2 * BUDGET))
						.run()) {
						all = call.get(drawn);
					}
					int[] firstDraws = Arrays.copyOf(all, BUDGET * size);
					int[] secondDraws = Arrays.copyOfRange(all, BUDGET * size, all.length);
					settings.forEach((setting) -> setting.tally()
						.add(setting.sampler().sample(source(firstDraws, size), random),
								setting.sampler().sample(source(secondDraws, size), random), place.truth()));
				}
			}
		}
		return settings.stream().map((setting) -> setting.tally().point(setting.series())).toList();
	}

	/** A sampler and what comes of it. */
	private record Setting(String series, PatchSampler sampler, Tally tally) {

		Setting(String series, PatchSampler sampler) {
			this(series, sampler, new Tally(sampler.temperature()));
		}

	}

	private static List<Setting> settings() {
		List<Setting> settings = new ArrayList<>();
		for (int candidates : CANDIDATES) {
			for (double temperature : TEMPERATURES) {
				settings.add(new Setting("CALM, N = " + candidates, new BatchSampler(temperature, candidates)));
			}
		}
		for (double temperature : TEMPERATURES) {
			settings.add(new Setting("CALM, exact", new ExactSampler(temperature, BUDGET)));
		}
		return settings;
	}

	/** Hands the draws out one after the other. */
	private static PatchSource source(int[] draws, int size) {
		int[] used = { 0 };
		return (count) -> {
			int from = used[0];
			used[0] += count * size;
			return Arrays.copyOfRange(draws, from, used[0]);
		};
	}

	private List<Point> ofBaseline(Path directory) {
		List<Point> points = new ArrayList<>();
		ModelDirectory model = ModelDirectory.open(directory);
		try (TensorFile weights = model.weights(); ProgramBuilder builder = new ProgramBuilder(this.program)) {
			BaselineConfig config = ModelConfigs.baseline(model, weights);
			BaselineTransformer network = new BaselineTransformer(builder.network(), config);
			int length = this.scale.block();
			Input<TInt32, int[]> tokens = builder.ints(length, 1);
			Input<TInt32, int[]> documents = builder.ints(1, length);
			Input<TFloat32, float[]> inverse = builder.floats();
			Input<TInt64, long[]> seed = builder.seed();
			Draws draws = new Draws(builder.network().tf(), seed.value());
			List<Fetch<int[]>> paths = new ArrayList<>();
			for (int sample = 0; sample < 2; sample++) {
				paths.addAll(path(builder.network().tf(), network, network.rollout(tokens.value(), documents.value()),
						inverse.value(), draws));
			}
			EntryPoint draw = builder.entryPoint().fetching(paths.toArray(Fetch<?>[]::new));
			try (Program program = builder.build()) {
				ModelFiles.load(program, program.variables((name) -> true), directory, weights);
				Map<TokenBatch, List<Place>> byBlock = new LinkedHashMap<>();
				places(this.scale.patchSize()).forEach(
						(place) -> byBlock.computeIfAbsent(place.block(), (block) -> new ArrayList<>()).add(place));
				for (double temperature : BASELINE_TEMPERATURES) {
					Tally tally = new Tally(temperature);
					long number = 0;
					for (Map.Entry<TokenBatch, List<Place>> entry : byBlock.entrySet()) {
						try (Call call = program.call(draw)
							.feed(tokens, entry.getKey().tokens())
							.feed(documents, documentOfEachToken(entry.getKey()))
							.feed(inverse, new float[] { (float) (1 / temperature) })
							.feed(seed, new long[] { this.scale.seed(), number++ })
							.run()) {
							add(tally, entry.getValue(), paths.stream().map(call::get).toList());
						}
					}
					points.add(tally.point("baseline"));
				}
			}
		}
		return points;
	}

	private static int[] documentOfEachToken(TokenBatch block) {
		int[] documents = new int[block.tokens().length];
		Arrays.setAll(documents, (i) -> block.documents()[i / block.patchSize()]);
		return documents;
	}

	/**
	 * Adds the places of a block.
	 * @param drawn the N tokens of the first sample after each token of the block, then
	 * those of the second
	 */
	private static void add(Tally tally, List<Place> places, List<int[]> drawn) {
		for (Place place : places) {
			int last = (place.patch() + 1) * place.block().patchSize() - 1;
			tally.add(sample(drawn.subList(0, N), last), sample(drawn.subList(N, 2 * N), last), place.truth());
		}
	}

	private static List<Fetch<int[]>> path(Ops tf, BaselineTransformer network, Rollout rollout,
			Operand<TFloat32> inverse, Draws draws) {
		List<Fetch<int[]>> path = new ArrayList<>();
		Operand<TFloat32> hidden = rollout.states();
		for (int n = 0; n < N; n++) {
			Operand<TFloat32> weights = tf.nn.softmax(tf.math.mul(network.logits(hidden), inverse));
			Operand<TInt32> token = Categorical.of(tf, weights).draw(tf, draws.uniform(hidden.shape().get(0)));
			path.add(Fetch.ints(token));
			if (n < N - 1) {
				hidden = rollout.proceed(tf.expandDims(token, tf.constant(1)));
			}
		}
		return path;
	}

	private static SampledPatch sample(List<int[]> path, int row) {
		return new SampledPatch(path.stream().mapToInt((tokens) -> tokens[row]).toArray(), N, false);
	}

}

package io.calm.generation;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Call;
import io.calm.graph.Device;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Initializer;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.graph.Variable;
import io.calm.layer.CacheConfig;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelFiles;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * A CALM model: one call takes a new patch of some slots and draws the patches after
 * them, of which samplers choose.
 */
final class PatchProgram implements ModelProgram {

	/**
	 * From so many draws on, decoding place by place is cheaper, though it reads the
	 * weights K times.
	 */
	private static final int MANY = 32;

	private final CalmConfig config;

	private final CacheConfig cache;

	private final Program program;

	private final CacheInputs inputs;

	/** {@code [R]}: for each draw, which of the slots it is for. */
	private final Input<TInt32, int[]> owners;

	/** {@code [R, noise]}, of the kind that the head asks for. */
	private final Input<TFloat32, float[]> noise;

	/** {@code [R]}: 1 for a draw all of whose tokens are required. */
	private final Input<TInt32, int[]> required;

	private final EntryPoint prefill;

	private final EntryPoint advance;

	private final Fetch<int[]> advanced;

	/** The same without the tokens that are not required. */
	private final EntryPoint advanceRepeated;

	private final Fetch<int[]> advancedRepeated;

	private final EntryPoint drawMore;

	private final Fetch<int[]> drawn;

	PatchProgram(CalmConfig config, AutoencoderConfig autoencoder, CacheConfig cache, ProgramOptions options,
			Path directory, TensorFile weights) {
		this.config = config;
		this.cache = cache;
		try (ProgramBuilder builder = ProgramBuilder.ofKeptWeights(options)) {
			Ops tf = builder.network().tf();
			CalmNetwork network = new CalmNetwork(builder.network(), config, autoencoder);
			ModelFiles.check(builder.network().variables().select((name) -> true), directory, weights);
			this.inputs = CacheInputs.declare(builder, config.patchSize());
			this.owners = builder.ints(-1);
			this.noise = builder.floats(-1, config.noise().size());
			this.required = builder.ints(-1);

			this.prefill = builder.entryPoint().changing(List.of(states(tf, network, PREFILL)));

			Operand<TFloat32> states = states(tf, network, 1); // [A, state]
			Variable last = builder.network()
				.variables()
				.declare(CacheConfig.PREFIX + "states", Initializer.ZEROS, cache.slots(), network.stateSize());
			Op kept = tf.resourceScatterUpdate(last.handle(), this.inputs.slots().value(), states);
			this.advanced = Fetch.ints(network.draw(states, this.owners.value(), this.noise.value()));
			this.advance = builder.entryPoint().fetching(this.advanced).changing(List.of(kept));
			this.advancedRepeated = Fetch.ints(network.drawRepeated(states, this.owners.value(), this.noise.value(),
					tf.math.greater(this.required.value(), tf.constant(0))));
			this.advanceRepeated = builder.entryPoint().fetching(this.advancedRepeated).changing(List.of(kept));

			this.drawn = Fetch
				.ints(network.draw(tf.resourceGather(last.handle(), this.inputs.slots().value(), TFloat32.class),
						this.owners.value(), this.noise.value()));
			this.drawMore = builder.entryPoint().fetching(this.drawn);
			this.program = builder.build();
		}
		this.program.prepare((program) -> {
			program.initialize(program.variables((name) -> name.startsWith(CacheConfig.PREFIX)), 0);
			ModelFiles.load(program, program.variables((name) -> !name.startsWith(CacheConfig.PREFIX)), directory,
					weights);
		});
	}

	private Operand<TFloat32> states(Ops tf, CalmNetwork network, int queries) {
		return network.states(this.inputs.tokens().value(), this.inputs.places(tf, queries, this.cache));
	}

	@Override
	public void check(Sampling sampling) {
		sampling.ofPatches();
	}

	@Override
	public void prefill(int slot, int[] patches, int position) {
		this.inputs.feedPrompt(this.program.call(this.prefill), slot, patches, position, this.config.padId())
			.run()
			.close();
	}

	@Override
	public void advance(List<Slot> slots) {
		List<PatchDraws> draws = slots.stream().map((slot) -> new PatchDraws(slot, this.config, this)).toList();
		List<float[]> noises = draws.stream().map(PatchDraws::firstNoise).toList();
		int noiseSize = this.config.noise().size();
		int all = noises.stream().mapToInt((each) -> each.length).sum();
		int[] owners = new int[all / noiseSize]; // the slot of each draw, in 0…A-1
		int[] required = new int[owners.length];
		float[] noise = new float[all];
		int from = 0;
		for (int i = 0; i < noises.size(); i++) {
			float[] own = noises.get(i);
			int first = from / noiseSize;
			int last = (from + own.length) / noiseSize;
			Arrays.fill(owners, first, last, i);
			Arrays.fill(required, first, draws.get(i).requiresAll() ? last : first + 1, 1);
			System.arraycopy(own, 0, noise, from, own.length);
			from += own.length;
		}
		int optional = owners.length - Arrays.stream(required).sum();
		int[] drawn = (optional < MANY) ? advance(slots, owners, noise)
				: advanceRepeated(slots, owners, noise, required);
		from = 0;
		for (int i = 0; i < slots.size(); i++) {
			int to = from + noises.get(i).length / noiseSize * this.config.patchSize();
			slots.get(i).accept(draws.get(i).choose(Arrays.copyOfRange(drawn, from, to)));
			from = to;
		}
	}

	private int[] advance(List<Slot> slots, int[] owners, float[] noise) {
		try (Call call = this.inputs.feedLast(this.program.call(this.advance), slots)
			.feed(this.owners, owners)
			.feed(this.noise, noise)
			.run()) {
			return call.get(this.advanced);
		}
	}

	private int[] advanceRepeated(List<Slot> slots, int[] owners, float[] noise, int[] required) {
		try (Call call = this.inputs.feedLast(this.program.call(this.advanceRepeated), slots)
			.feed(this.owners, owners)
			.feed(this.noise, noise)
			.feed(this.required, required)
			.run()) {
			return call.get(this.advancedRepeated);
		}
	}

	/**
	 * Draws more patches that may come after a slot's last one.
	 * @param slot whose
	 * @param noise {@code [R, noise]}
	 * @return {@code [R, K]}
	 */
	int[] drawMore(int slot, float[] noise) {
		try (Call call = this.program.call(this.drawMore)
			.feed(this.inputs.slots(), new int[] { slot })
			.feed(this.owners, new int[this.config.noise().count(noise)])
			.feed(this.noise, noise)
			.run()) {
			return call.get(this.drawn);
		}
	}

	@Override
	public Device device() {
		return this.program.device();
	}

	@Override
	public void close() {
		this.program.close();
	}

}

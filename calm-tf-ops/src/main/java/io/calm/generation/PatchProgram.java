package io.calm.generation;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.CachePlaces;
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
import io.calm.model.CacheConfig;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelFiles;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The native side of the engine: a model with the key/value caches of S slots. One call
 * takes a new patch of some slots and draws the patches after them. Noise comes from
 * outside. Not for several threads.
 */
final class PatchProgram implements AutoCloseable {

	/** Patches of a prompt that are taken in one call; divides a page. */
	static final int PREFILL = CacheConfig.PAGE;

	private final CalmConfig config;

	private final CacheConfig cache;

	private final Program program;

	/** {@code [A·Q, K]}: new patches. */
	private final Input<TInt32, int[]> tokens;

	/** {@code [A·Q]}: where they stand. */
	private final Input<TInt32, int[]> positions;

	/** {@code [A]}: whose they are. */
	private final Input<TInt32, int[]> slots;

	/** A scalar: pages of the cache to look at. */
	private final Input<TInt32, int[]> pageCount;

	/** {@code [R]}: for each draw, which of the slots it is for. */
	private final Input<TInt32, int[]> owners;

	/** {@code [R, noise]}, of the kind that the head asks for. */
	private final Input<TFloat32, float[]> noise;

	private final EntryPoint prefill;

	private final EntryPoint advance;

	private final Fetch<int[]> advanced;

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
			this.tokens = builder.ints(-1, config.patchSize());
			this.positions = builder.ints(-1);
			this.slots = builder.ints(-1);
			this.pageCount = builder.ints();
			this.owners = builder.ints(-1);
			this.noise = builder.floats(-1, config.head().noise().size());

			this.prefill = builder.entryPoint().changing(List.of(hiddenStates(tf, network, PREFILL)));

			Operand<TFloat32> hidden = hiddenStates(tf, network, 1); // [A, d]
			Variable last = builder.network()
				.variables()
				.declare(CalmNetwork.CACHE + "hidden", Initializer.ZEROS, cache.slots(),
						config.backbone().hiddenSize());
			Op kept = tf.resourceScatterUpdate(last.handle(), this.slots.value(), hidden);
			this.advanced = Fetch.ints(draw(network, hidden));
			this.advance = builder.entryPoint().fetching(this.advanced).changing(List.of(kept));

			this.drawn = Fetch
				.ints(draw(network, tf.resourceGather(last.handle(), this.slots.value(), TFloat32.class)));
			this.drawMore = builder.entryPoint().fetching(this.drawn);
			this.program = builder.build();
		}
		this.program.initialize(this.program.variables((name) -> name.startsWith(CalmNetwork.CACHE)), 0);
		ModelFiles.load(this.program, this.program.variables((name) -> !name.startsWith(CalmNetwork.CACHE)), directory,
				weights);
		this.program.keepWeights();
	}

	Device device() {
		return this.program.device();
	}

	private Operand<TFloat32> hiddenStates(Ops tf, CalmNetwork network, int queries) {
		CachePlaces places = CachePlaces.of(tf, queries, CacheConfig.PAGE, this.cache.pagesPerSlot(),
				this.slots.value(), this.positions.value(), this.pageCount.value());
		return network.hiddenStatesCached(this.tokens.value(), places, this.cache);
	}

	private Operand<TInt32> draw(CalmNetwork network, Operand<TFloat32> hidden) {
		return network.decodeTokens(network.head().sample(hidden, this.owners.value(), this.noise.value()));
	}

	/**
	 * Takes a part of a prompt into a slot's cache.
	 * @param slot whose it is
	 * @param patches {@code [n, K]}, at most {@link #PREFILL} patches
	 * @param position of the first of them, a multiple of {@link #PREFILL}
	 */
	void prefill(int slot, int[] patches, int position) {
		// filled up: what stands after the prompt is written over before it is seen
		int[] filled = new int[PREFILL * this.config.patchSize()];
		Arrays.fill(filled, this.config.padId());
		System.arraycopy(patches, 0, filled, 0, patches.length);
		int[] places = new int[PREFILL];
		Arrays.setAll(places, (i) -> position + i);
		this.program.call(this.prefill)
			.feed(this.tokens, filled)
			.feed(this.positions, places)
			.feed(this.slots, new int[] { slot })
			.feed(this.pageCount, new int[] { pages(position + PREFILL - 1) })
			.run()
			.close();
	}

	/**
	 * Takes one patch of each slot into its cache and draws patches that may come next.
	 * @param slots {@code [A]}
	 * @param patches {@code [A, K]}
	 * @param positions {@code [A]}
	 * @param owners {@code [R]}, in 0…A-1
	 * @param noise {@code [R, noise]}
	 * @return {@code [R, K]}
	 */
	int[] advance(int[] slots, int[] patches, int[] positions, int[] owners, float[] noise) {
		try (Call call = this.program.call(this.advance)
			.feed(this.tokens, patches)
			.feed(this.positions, positions)
			.feed(this.slots, slots)
			.feed(this.pageCount, new int[] { pages(Arrays.stream(positions).max().orElseThrow()) })
			.feed(this.owners, owners)
			.feed(this.noise, noise)
			.run()) {
			return call.get(this.advanced);
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
			.feed(this.slots, new int[] { slot })
			.feed(this.owners, new int[this.config.head().noise().count(noise)])
			.feed(this.noise, noise)
			.run()) {
			return call.get(this.drawn);
		}
	}

	private static int pages(int lastPosition) {
		return lastPosition / CacheConfig.PAGE + 1;
	}

	@Override
	public void close() {
		this.program.close();
	}

}

package io.calm.generation;

import java.nio.file.Path;
import java.util.List;

import io.calm.checkpoint.TensorFile;
import io.calm.graph.Call;
import io.calm.graph.Categorical;
import io.calm.graph.Device;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.layer.CacheConfig;
import io.calm.model.BaselineConfig;
import io.calm.model.BaselineTransformer;
import io.calm.model.ModelFiles;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Max;
import org.tensorflow.op.core.Min;
import org.tensorflow.op.math.Cumsum;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;

/**
 * A baseline Transformer: each slot's next token is drawn where the logits are, from one
 * number that depends on the request's seed and its position.
 */
final class TokenProgram implements ModelProgram {

	private final BaselineConfig config;

	/** Those that may be drawn; rows of the matrices behind them are no tokens. */
	private final int ids;

	private final CacheInputs inputs;

	/** {@code [A]}: 1/T. */
	private final Input<TFloat32, float[]> inverseTemperatures;

	/** {@code [A]}, uniform in [0, 1). */
	private final Input<TFloat32, float[]> uniform;

	/** {@code [A]}: how many tokens are left to choose from. */
	private final Input<TInt32, int[]> topK;

	/** {@code [A]}: the share of the probability that they have; above 1 for all. */
	private final Input<TFloat32, float[]> topP;

	private final EntryPoint prefill;

	private final EntryPoint advance;

	private final Fetch<int[]> drawn;

	/** With top-k and top-p, which take a sort of the vocabulary. */
	private final EntryPoint advanceRestricted;

	private final Fetch<int[]> drawnRestricted;

	private final Program program;

	TokenProgram(BaselineConfig config, int ids, CacheConfig cache, ProgramOptions options, Path directory,
			TensorFile weights) {
		this.config = config;
		this.ids = ids;
		try (ProgramBuilder builder = ProgramBuilder.ofKeptWeights(options)) {
			Ops tf = builder.network().tf();
			BaselineTransformer baseline = new BaselineTransformer(builder.network(), config);
			ModelFiles.check(builder.network().variables().select((name) -> true), directory, weights);
			this.inputs = CacheInputs.declare(builder, 1);
			this.inverseTemperatures = builder.floats(-1);
			this.uniform = builder.floats(-1);
			this.topK = builder.ints(-1);
			this.topP = builder.floats(-1);

			Operand<TInt32> tokens = this.inputs.tokens().value();
			this.prefill = builder.entryPoint()
				.changing(List.of(baseline.hiddenStates(tokens, this.inputs.places(tf, PREFILL, cache))));

			Operand<TFloat32> logits = tokens(tf,
					baseline.logits(baseline.hiddenStates(tokens, this.inputs.places(tf, 1, cache))));
			Operand<TFloat32> greatest = tf.max(logits, tf.constant(1), Max.keepDims(true));
			Operand<TFloat32> tempered = tf.math.mul(tf.math.sub(logits, greatest),
					tf.expandDims(this.inverseTemperatures.value(), tf.constant(1)));
			Operand<TFloat32> all = tf.math.exp(tempered);
			this.drawn = Fetch.ints(Categorical.of(tf, all).draw(tf, this.uniform.value()));
			this.advance = builder.entryPoint().fetching(this.drawn);

			Operand<TFloat32> likely = tf.select(tf.math.greaterEqual(tempered, least(tf, tempered)), all,
					tf.zerosLike(all));
			this.drawnRestricted = Fetch.ints(Categorical.of(tf, likely).draw(tf, this.uniform.value()));
			this.advanceRestricted = builder.entryPoint().fetching(this.drawnRestricted);
			this.program = builder.build();
		}
		this.program.prepare((program) -> {
			program.initialize(program.variables((name) -> name.startsWith(CacheConfig.PREFIX)), 0);
			ModelFiles.load(program, program.variables((name) -> !name.startsWith(CacheConfig.PREFIX)), directory,
					weights);
		});
	}

	/** {@code [A, V]} without the rows that are no tokens. */
	private Operand<TFloat32> tokens(Ops tf, Operand<TFloat32> logits) {
		return (this.ids == this.config.vocabularySize()) ? logits
				: tf.slice(logits, tf.constant(new int[] { 0, 0 }), tf.constant(new int[] { -1, this.ids }));
	}

	/**
	 * The least tempered logit that top-k and top-p leave.
	 * @param tempered {@code [A, V]}
	 * @return {@code [A, 1]}
	 */
	private Operand<TFloat32> least(Ops tf, Operand<TFloat32> tempered) {
		int vocabulary = this.ids;
		Operand<TInt32> last = tf.constant(1);
		Operand<TFloat32> sorted = tf.nn.topK(tempered, tf.constant(vocabulary), TInt32.class).values();
		Operand<TBool> amongK = tf.math.less(tf.range(tf.constant(0), tf.constant(vocabulary), tf.constant(1)),
				tf.expandDims(this.topK.value(), last));
		Operand<TFloat64> weights = tf.dtypes.cast(tf.math.exp(sorted), TFloat64.class);
		Operand<TFloat64> kept = tf.select(amongK, weights, tf.zerosLike(weights));
		Operand<TFloat64> before = tf.math.cumsum(kept, last, Cumsum.exclusive(true));
		Operand<TFloat64> share = tf.math.mul(tf.dtypes.cast(tf.expandDims(this.topP.value(), last), TFloat64.class),
				tf.expandDims(tf.sum(kept, last), last));
		Operand<TBool> left = tf.math.logicalAnd(amongK, tf.math.less(before, share));
		Operand<TFloat32> outside = tf.fill(tf.shape(sorted), tf.constant(Float.POSITIVE_INFINITY));
		return tf.min(tf.select(left, sorted, outside), last, Min.keepDims(true));
	}

	@Override
	public void check(Sampling sampling) {
		// every temperature, top-k and top-p will do
	}

	@Override
	public void prefill(int slot, int[] patches, int position) {
		this.inputs.feedPrompt(this.program.call(this.prefill), slot, patches, position, this.config.padId())
			.run()
			.close();
	}

	@Override
	public void advance(List<Slot> slots) {
		boolean restricted = slots.stream().anyMatch((slot) -> slot.request().sampling().restricted(this.ids));
		int count = slots.size();
		float[] inverse = new float[count];
		float[] random = new float[count];
		int[] k = new int[count];
		float[] p = new float[count];
		for (int i = 0; i < count; i++) {
			Slot slot = slots.get(i);
			Sampling sampling = slot.request().sampling();
			inverse[i] = sampling.inverseTemperature();
			random[i] = slot.random(slot.position(), Slot.NOISE).nextFloat();
			k[i] = sampling.topK();
			// so that rounding rules nothing out where nothing should be
			p[i] = (sampling.topP() == 1) ? 2 : (float) sampling.topP();
		}
		try (Call call = this.inputs
			.feedLast(this.program.call(restricted ? this.advanceRestricted : this.advance), slots)
			.feed(this.inverseTemperatures, inverse)
			.feed(this.uniform, random)) {
			if (restricted) {
				call.feed(this.topK, k).feed(this.topP, p);
			}
			int[] tokens = call.run().get(restricted ? this.drawnRestricted : this.drawn);
			for (int i = 0; i < count; i++) {
				slots.get(i).accept(new int[] { tokens[i] });
			}
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

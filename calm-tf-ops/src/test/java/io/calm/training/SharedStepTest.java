package io.calm.training;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.cluster.Cluster;
import io.calm.cluster.TwoWorkers;
import io.calm.graph.Precision;
import io.calm.graph.Variable;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import static org.assertj.core.api.Assertions.assertThat;

/** What two workers make of a step, against one with two micro-batches. */
@EnabledOnOs(OS.LINUX)
class SharedStepTest {

	private static final ByteTokenizer TOKENS = new ByteTokenizer();

	@ParameterizedTest
	@MethodSource("models")
	void twoWorkersDoWhatOneWithTwoMicroBatchesDoes(Trainable model) {
		Map<String, float[]> one = states(model, options(2, 2), null, 3);
		TwoWorkers.run(Precision.FP32, Precision.FP32, (cluster) -> states(model, options(4, 1), cluster, 3))
			.forEach((worker) -> one
				.forEach((name, values) -> assertThat(of(worker, name)).as(name).containsExactly(values)));
	}

	/** Of four parts, two workers add up others first. */
	@Test
	void twoWorkersShareMicroBatchesOut() {
		Map<String, float[]> one = states(baseline(), options(2, 4), null, 3);
		List<Map<String, float[]>> two = TwoWorkers.run(Precision.FP32, Precision.FP32,
				(cluster) -> states(baseline(), options(2, 4), cluster, 3));
		one.forEach((name, values) -> {
			assertThat(of(two.get(1), name)).as(name).containsExactly(of(two.get(0), name));
			assertThat(distance(of(two.get(0), name), values)).as(name).isLessThan(1e-5);
		});
	}

	static List<Trainable> models() {
		AutoencoderConfig autoencoder = TinyModel.autoencoder().build();
		return List.of(baseline(), Trainable.autoencoder(autoencoder),
				Trainable.languageModel(TinyModel.calm().build(autoencoder), autoencoder));
	}

	/**
	 * After the first step, AdamW's first moments are the clipped gradients, but for a
	 * factor.
	 */
	@Test
	void gradientsInBf16AreRoundedAndTheSameOnAllWorkers() {
		Map<String, float[]> exact = states(baseline(), options(2, 2), null, 1);
		List<Map<String, float[]>> two = TwoWorkers.run(Precision.BF16, Precision.BF16,
				(cluster) -> states(baseline(), options(4, 1), cluster, 1));
		exact.keySet()
			.forEach((name) -> assertThat(of(two.get(1), name)).as(name).containsExactly(of(two.get(0), name)));
		exact.forEach((name, values) -> {
			if (name.startsWith(AdamW.FIRST_MOMENT)) {
				// three roundings by at most 2⁻⁹ each, evenly spread
				assertThat(distance(of(two.get(0), name), values)).as(name).isBetween(2e-4, 4e-3);
			}
		});
	}

	private static Trainable baseline() {
		return Trainable.baseline(TinyModel.baseline(TOKENS.vocabularySize(), TOKENS.padId()));
	}

	private static TrainingOptions options(int batch, int accumulation) {
		return TrainingOptions.of((options) -> options.steps(10)
			.batch(batch)
			.accumulation(accumulation)
			.patches(8)
			.learningRate(3e-3)
			.warmup(0)
			.averaging(0.9));
	}

	/** Weights, moments and averages after some steps. */
	private static Map<String, float[]> states(Trainable model, TrainingOptions options, @Nullable Cluster cluster,
			int steps) {
		Map<String, float[]> states = new LinkedHashMap<>();
		try (TokenStore text = TinyModel.text(60);
				TrainingProgram training = model.program(options, TinyModel.PROGRAM, cluster)) {
			TokenBlocks blocks = model.blocks(text, options);
			training.begin();
			for (int step = 1; step <= steps; step++) {
				training.step(model.phase(), step, training.share().of(blocks, step));
			}
			List<Variable> variables = new ArrayList<>(training.parameters());
			variables.addAll(training.optimizerState());
			training.program().read(variables, (variable, values) -> states.put(variable.name(), values));
		}
		return states;
	}

	private static float[] of(Map<String, float[]> states, String name) {
		return Objects.requireNonNull(states.get(name), name);
	}

	/** Of vectors, relative to the length of one. */
	private static double distance(float[] one, float[] other) {
		double squares = 0;
		double length = 0;
		for (int i = 0; i < one.length; i++) {
			squares += Math.pow(one[i] - other[i], 2);
			length += Math.pow(other[i], 2);
		}
		return Math.sqrt(squares / length);
	}

}

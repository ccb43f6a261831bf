package io.calm.cli.ablate;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.CRC32;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.graph.ProgramOptions;
import io.calm.model.BackboneConfig;
import io.calm.model.BaselineConfig;
import io.calm.model.CalmConfig;
import io.calm.model.Flops;
import io.calm.training.Evaluation;
import io.calm.training.LearningRate;
import io.calm.training.StepMetrics;
import io.calm.training.Trainable;
import io.calm.training.Trainer;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingOptions;

/**
 * Trains the models of a study.
 *
 * @param scale sizes and lengths
 * @param material what to train on
 * @param program device, precision and fusion
 */
record Bench(Scale scale, Material material, ProgramOptions program) {

	/** The first steps are slow. */
	private static final int TRIAL = 12;

	private static final int COUNTED = 6;

	private static final int CHECKPOINTS = 10;

	AutoencoderConfig autoencoder(Arm arm) {
		AutoencoderConfig.Builder builder = AutoencoderConfig.builder(this.material.vocabularySize())
			.specialIds(this.material.padId(), this.material.bosId(), this.material.eosId())
			.patchSize(this.scale.patchSize())
			.latentSize(this.scale.latentSize())
			.hiddenSize(this.scale.autoencoderSize())
			.intermediateSize(Scale.intermediateSize(this.scale.autoencoderSize()));
		arm.autoencoder().accept(builder);
		return builder.build();
	}

	CalmConfig.Builder model(Arm arm) {
		CalmConfig.Builder builder = CalmConfig.preset(this.scale.preset());
		arm.model().accept(builder);
		return builder;
	}

	BaselineConfig baseline(Arm arm) {
		BackboneConfig.Builder builder = BackboneConfig.preset(this.scale.preset());
		arm.backbone().accept(builder);
		return new BaselineConfig(this.material.vocabularySize(), builder.build(), this.material.padId(),
				this.material.bosId(), this.material.eosId());
	}

	/** K of an arm; of a baseline that of the models that it is compared with. */
	int patchSize(Arm arm) {
		return arm.baseline() ? this.scale.patchSize() : autoencoder(arm).patchSize();
	}

	/** The cost of a token of an arm's language model. */
	Flops flops(Arm arm) {
		if (arm.baseline()) {
			return Flops.of(baseline(arm), this.scale.block());
		}
		AutoencoderConfig autoencoder = autoencoder(arm);
		return Flops.of(model(arm).build(autoencoder), autoencoder, this.scale.patches(autoencoder.patchSize()));
	}

	/** Arms whose autoencoders are alike share one. */
	Path autoencoderIn(Path output, Arm arm) {
		CRC32 hash = new CRC32();
		hash.update(autoencoder(arm).toString().getBytes(StandardCharsets.UTF_8));
		return output.resolve("autoencoders").resolve(HexFormat.of().toHexDigits((int) hash.getValue()));
	}

	void trainAutoencoder(Arm arm, long steps, Path directory, List<TrainingListener> listeners) {
		AutoencoderConfig config = autoencoder(arm);
		new Trainer(Trainable.autoencoder(config), options(this.scale.patches(config.patchSize()), steps, false),
				this.program, listeners)
			.train(this.material.data(), directory, this.material::saveTokenizer);
	}

	Path trainModel(Arm arm, long steps, Path autoencoder, Path directory, List<TrainingListener> listeners,
			Evaluation evaluation) {
		boolean evaluated = evaluation != Evaluation.NONE;
		if (arm.baseline()) {
			return new Trainer(Trainable.baseline(baseline(arm)), options(this.scale.block(), steps, evaluated),
					this.program, listeners, evaluation)
				.train(this.material.data(), directory, this.material::saveTokenizer);
		}
		AutoencoderConfig shape = autoencoder(arm);
		return new Trainer(Trainable.languageModel(model(arm).build(shape), shape).over(autoencoder),
				options(this.scale.patches(shape.patchSize()), steps, evaluated), this.program, listeners, evaluation)
			.train(this.material.data(), directory, this.material::saveTokenizer);
	}

	private TrainingOptions options(int patches, long steps, boolean evaluated) {
		long tenth = Math.max(1, steps / CHECKPOINTS);
		return TrainingOptions.of((options) -> options.steps(steps)
			.batch(this.scale.batch())
			.patches(patches)
			.learningRate(this.scale.learningRate())
			.warmup(Math.min(100, tenth))
			.decay(LearningRate.Decay.COSINE)
			.averaging(0.995)
			.checkpointEvery(tenth)
			.evaluateEvery(evaluated ? tenth : 0)
			.seed(this.scale.seed()));
	}

	/** Milliseconds of a step of an arm's autoencoder, found by trying. */
	double tryAutoencoder(Arm arm, Path directory) {
		Times times = new Times();
		trainAutoencoder(arm, TRIAL, directory, List.of(times));
		return times.median();
	}

	/** The same of its language model. */
	double tryModel(Arm arm, Path autoencoder, Path directory) {
		Times times = new Times();
		trainModel(arm, TRIAL, autoencoder, directory, List.of(times), Evaluation.NONE);
		return times.median();
	}

	private static final class Times implements TrainingListener {

		private final List<Double> milliseconds = new ArrayList<>();

		@Override
		public void onStep(StepMetrics metrics) {
			this.milliseconds.add(metrics.milliseconds());
		}

		double median() {
			int last = this.milliseconds.size();
			return this.milliseconds.subList(last - COUNTED, last)
				.stream()
				.sorted()
				.skip(COUNTED / 2)
				.findFirst()
				.orElseThrow();
		}

	}

}

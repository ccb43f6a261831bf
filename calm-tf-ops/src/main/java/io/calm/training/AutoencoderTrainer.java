package io.calm.training;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

import io.calm.autoencoder.Autoencoder;
import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.VariationalObjective;
import io.calm.graph.Network;
import io.calm.graph.ProgramOptions;
import io.calm.graph.Variables;
import io.calm.model.ModelConfigs;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;
import org.jspecify.annotations.Nullable;

/**
 * Trains an autoencoder (section 3 of the paper).
 *
 * @param config the autoencoder's shape
 * @param options how long and how
 * @param program device, precision and fusion
 * @param listeners follow the training
 * @param evaluation scores it every so often, as the options say
 */
public record AutoencoderTrainer(AutoencoderConfig config, TrainingOptions options, ProgramOptions program,
		List<TrainingListener> listeners, Evaluation evaluation) {

	/** The name of this phase for listeners. */
	public static final String PHASE = "autoencoder";

	/**
	 * A trainer without evaluation.
	 * @param config the autoencoder's shape
	 * @param options how long and how
	 * @param program device, precision and fusion
	 * @param listeners follow the training
	 */
	public AutoencoderTrainer(AutoencoderConfig config, TrainingOptions options, ProgramOptions program,
			List<TrainingListener> listeners) {
		this(config, options, program, listeners, Evaluation.NONE);
	}

	/**
	 * Trains, or goes on from the checkpoint in the directory.
	 * @param data the tokens
	 * @param directory of checkpoint and model; written whole or not at all
	 * @param files writes what else belongs into the directory, such as the tokenizer
	 * @return the finished model: the directory, or, with
	 * {@link TrainingOptions#patience()}, that of the best model beside it
	 * @throws TrainingException if the training cannot go on, or the thread was
	 * interrupted: then its state has been saved, and the interrupt flag stays set
	 */
	public Path train(TokenStore data, Path directory, Consumer<Path> files) {
		return train(null, data, directory, files);
	}

	/**
	 * The same, beginning with the weights of another autoencoder.
	 * @param base the directory of an autoencoder of the same shape
	 * @param data the tokens
	 * @param directory of checkpoint and model; written whole or not at all
	 * @param files writes what else belongs into the directory, such as the tokenizer
	 * @return the finished model, as of {@link #train}
	 * @throws TrainingException as {@link #train} does
	 */
	public Path fineTune(Path base, TokenStore data, Path directory, Consumer<Path> files) {
		return train(base, data, directory, files);
	}

	private Path train(@Nullable Path base, TokenStore data, Path directory, Consumer<Path> files) {
		TokenBlocks blocks = blocks(data);
		try (TrainingProgram training = program(this.config, this.options, this.program)) {
			training.begin(base);
			Checkpoint checkpoint = new Checkpoint(directory, training, this.options, data.digest(), base,
					ModelConfigs.settings(this.config), files, List.of());
			return new TrainingLoop(PHASE, training, this.options, blocks, this.listeners, this.evaluation, checkpoint)
				.run(this.program);
		}
	}

	/**
	 * Does a few steps from random weights and writes nothing.
	 * @param data the tokens
	 * @return what the training would cost
	 * @throws io.calm.input.InvalidInputException if the options or the data do not fit
	 */
	public Trial tryOut(TokenStore data) {
		TokenBlocks blocks = blocks(data);
		try (TrainingProgram training = program(this.config, this.options, this.program)) {
			training.begin(null);
			return Trial.of(PHASE, ModelConfigs.settings(this.config), training, blocks, this.options);
		}
	}

	private TokenBlocks blocks(TokenStore data) {
		return TokenBlocks.shuffled(data, this.config.patchSize(), this.options.patches(), this.config.padId(),
				this.options.seed());
	}

	static TrainingProgram program(AutoencoderConfig config, TrainingOptions options, ProgramOptions program) {
		return TrainingProgram.build(program, options, config.patchSize(),
				(name) -> name.startsWith("encoder.") || name.startsWith("decoder."), (builder, sequences, draws) -> {
					Network network = builder.network();
					Autoencoder autoencoder = new Autoencoder(network, "", config);
					VariationalObjective objective = VariationalObjective.of(network, autoencoder, sequences.tokens(),
							VariationalObjective.Noise.draw(network.tf(), draws, config,
									sequences.tokens().shape().get(0)));
					return new TrainingProgram.Objective(objective.loss(),
							(parameters) -> builder.gradients(objective.loss(), Variables.values(parameters)),
							Map.of("cross_entropy", objective.crossEntropy(), "kl", objective.kl(),
									"kl_collapsed_dimensions", objective.collapsed(), "accuracy",
									objective.accuracy()));
				});
	}

}

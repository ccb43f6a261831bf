package io.calm.training;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

import io.calm.graph.ProgramOptions;
import io.calm.model.BaselineConfig;
import io.calm.model.BaselineTransformer;
import io.calm.model.ModelConfigs;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;
import org.jspecify.annotations.Nullable;

/**
 * Trains the baseline of the paper's comparisons: a Transformer that predicts the next
 * token.
 *
 * @param config the model's shape
 * @param options how long and how; its patches are tokens here
 * @param program device, precision and fusion
 * @param listeners follow the training
 * @param evaluation scores it every so often, as the options say
 */
public record BaselineTrainer(BaselineConfig config, TrainingOptions options, ProgramOptions program,
		List<TrainingListener> listeners, Evaluation evaluation) {

	/** The name of this phase for listeners. */
	public static final String PHASE = "baseline";

	/**
	 * A trainer without evaluation.
	 * @param config the model's shape
	 * @param options how long and how; its patches are tokens here
	 * @param program device, precision and fusion
	 * @param listeners follow the training
	 */
	public BaselineTrainer(BaselineConfig config, TrainingOptions options, ProgramOptions program,
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
	 * The same, beginning with the weights of another baseline.
	 * @param base the directory of a baseline of the same shape
	 * @param data the tokens
	 * @param directory of checkpoint and model; written whole or not at all
	 * @param files writes what else belongs into the directory
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
		return TokenBlocks.shuffled(data, 1, this.options.patches(), this.config.padId(), this.options.seed());
	}

	static TrainingProgram program(BaselineConfig config, TrainingOptions options, ProgramOptions program) {
		return TrainingProgram.build(program, options, 1, BaselineTransformer::isParameter,
				(builder, sequences, draws) -> NextTokenObjective.of(builder, config, sequences));
	}

}

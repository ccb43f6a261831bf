package io.calm.training;

import java.nio.file.Path;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Program;
import io.calm.graph.ProgramOptions;
import io.calm.graph.Variable;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelFiles;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;
import org.jspecify.annotations.Nullable;

/**
 * Trains a CALM language model over a frozen autoencoder (section 4 of the paper).
 *
 * @param config gives the model's shape for an autoencoder's, such as
 * {@link CalmConfig.Builder#build}
 * @param options how long and how
 * @param program device, precision and fusion
 * @param listeners follow the training
 * @param evaluation scores it every so often, as the options say
 */
public record LanguageModelTrainer(Function<AutoencoderConfig, CalmConfig> config, TrainingOptions options,
		ProgramOptions program, List<TrainingListener> listeners, Evaluation evaluation) {

	/** The name of this phase for listeners. */
	public static final String PHASE = "language-model";

	/**
	 * A trainer without evaluation.
	 * @param config gives the model's shape for an autoencoder's
	 * @param options how long and how
	 * @param program device, precision and fusion
	 * @param listeners follow the training
	 */
	public LanguageModelTrainer(Function<AutoencoderConfig, CalmConfig> config, TrainingOptions options,
			ProgramOptions program, List<TrainingListener> listeners) {
		this(config, options, program, listeners, Evaluation.NONE);
	}

	/**
	 * Trains, or goes on from the checkpoint in the directory.
	 * @param autoencoder the directory of a trained autoencoder
	 * @param data the tokens
	 * @param directory of checkpoint and model; written whole or not at all
	 * @param files writes what else belongs into the directory, such as the tokenizer and
	 * a copy of the autoencoder
	 * @return the finished model: the directory, or, with
	 * {@link TrainingOptions#patience()}, that of the best model beside it
	 * @throws TrainingException if the training cannot go on, or the thread was
	 * interrupted: then its state has been saved, and the interrupt flag stays set
	 */
	public Path train(Path autoencoder, TokenStore data, Path directory, Consumer<Path> files) {
		return train(null, autoencoder, data, directory, files);
	}

	/**
	 * The same, beginning with the weights of another language model.
	 * @param base the directory of a model of the same shape
	 * @param autoencoder the directory of its autoencoder, or of one trained on from it
	 * @param data the tokens
	 * @param directory of checkpoint and model; written whole or not at all
	 * @param files writes what else belongs into the directory
	 * @return the finished model, as of {@link #train}
	 * @throws TrainingException as {@link #train} does
	 */
	public Path fineTune(Path base, Path autoencoder, TokenStore data, Path directory, Consumer<Path> files) {
		return train(base, autoencoder, data, directory, files);
	}

	private Path train(@Nullable Path base, Path autoencoder, TokenStore data, Path directory, Consumer<Path> files) {
		ModelDirectory model = ModelDirectory.open(autoencoder);
		return train(base, ModelConfigs.autoencoder(model), (program, frozen) -> {
			try (TensorFile weights = model.weights()) {
				ModelFiles.loadAutoencoder(program, frozen, autoencoder, weights);
			}
		}, data, directory, files);
	}

	/**
	 * Trains over an autoencoder with random weights: for benchmarks, which need no
	 * better.
	 * @param autoencoder the autoencoder's shape
	 * @param data the tokens
	 * @param directory of checkpoint and model
	 * @param files writes what else belongs into the directory
	 */
	public void trainUntrained(AutoencoderConfig autoencoder, TokenStore data, Path directory, Consumer<Path> files) {
		train(null, autoencoder, (program, frozen) -> {
		}, data, directory, files);
	}

	private Path train(@Nullable Path base, AutoencoderConfig autoencoder,
			BiConsumer<Program, List<Variable>> loadAutoencoder, TokenStore data, Path directory,
			Consumer<Path> files) {
		CalmConfig config = this.config.apply(autoencoder);
		TokenBlocks blocks = blocks(config, data);
		try (TrainingProgram training = program(config, autoencoder, this.options, this.program)) {
			training.begin(base);
			List<Variable> frozen = training.program().variables((name) -> name.startsWith(CalmNetwork.AUTOENCODER));
			loadAutoencoder.accept(training.program(), frozen);
			Checkpoint checkpoint = new Checkpoint(directory, training, this.options, data.digest(), base,
					ModelConfigs.settings(config), files, frozen);
			return new TrainingLoop(PHASE, training, this.options, blocks, this.listeners, this.evaluation, checkpoint)
				.run(this.program);
		}
	}

	/**
	 * Does a few steps from random weights and writes nothing.
	 * @param autoencoder the shape of the autoencoder, which needs not be trained
	 * @param data the tokens
	 * @return what the training would cost
	 * @throws io.calm.input.InvalidInputException if the options or the data do not fit
	 */
	public Trial tryOut(AutoencoderConfig autoencoder, TokenStore data) {
		CalmConfig config = this.config.apply(autoencoder);
		TokenBlocks blocks = blocks(config, data);
		try (TrainingProgram training = program(config, autoencoder, this.options, this.program)) {
			training.begin(null);
			return Trial.of(PHASE, ModelConfigs.settings(config), training, blocks, this.options);
		}
	}

	private TokenBlocks blocks(CalmConfig config, TokenStore data) {
		return TokenBlocks.shuffled(data, config.patchSize(), this.options.patches(), config.padId(),
				this.options.seed());
	}

	static TrainingProgram program(CalmConfig config, AutoencoderConfig autoencoder, TrainingOptions options,
			ProgramOptions program) {
		return TrainingProgram.build(program, options, config.patchSize(), CalmNetwork::isParameter,
				(builder, sequences, draws) -> NextPatchObjective.of(builder, config, autoencoder, sequences, draws));
	}

}

package io.calm.training;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

import io.calm.cluster.Cluster;
import io.calm.graph.ProgramOptions;
import io.calm.graph.Trace;
import io.calm.graph.Variable;
import io.calm.model.WarmStart;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;
import org.jspecify.annotations.Nullable;
import org.tensorflow.TensorFlow;

/**
 * Trains one model: an autoencoder, a CALM language model or a baseline.
 *
 * @param model what is trained
 * @param options how long and how; the patches of a baseline are tokens
 * @param program device, precision and fusion
 * @param listeners follow the training
 * @param evaluation scores the model every so often, as the options say
 * @param cluster the workers that share each step; null if this is the only one. Only the
 * first one writes, evaluates and tells listeners. The others read its checkpoints, so
 * the directory has to be the same for all.
 * @param trace where three steps are recorded once kernels are compiled; null for nowhere
 */
public record Trainer(Trainable model, TrainingOptions options, ProgramOptions program,
		List<TrainingListener> listeners, Evaluation evaluation, @Nullable Cluster cluster, @Nullable Trace trace) {

	/** Steps of a trial after the first, in which a program may be compiled. */
	private static final int MEASURED = 3;

	/**
	 * A trainer without evaluation.
	 * @param model what is trained
	 * @param options how long and how; the patches of a baseline are tokens
	 * @param program device, precision and fusion
	 * @param listeners follow the training
	 */
	public Trainer(Trainable model, TrainingOptions options, ProgramOptions program, List<TrainingListener> listeners) {
		this(model, options, program, listeners, Evaluation.NONE, null, null);
	}

	/**
	 * A trainer that is the only worker.
	 * @param model what is trained
	 * @param options how long and how; the patches of a baseline are tokens
	 * @param program device, precision and fusion
	 * @param listeners follow the training
	 * @param evaluation scores the model every so often, as the options say
	 */
	public Trainer(Trainable model, TrainingOptions options, ProgramOptions program, List<TrainingListener> listeners,
			Evaluation evaluation) {
		this(model, options, program, listeners, evaluation, null, null);
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
	 * The same, beginning with the weights of another model.
	 * @param base the directory of a model of the same shape, or, for a CALM model, of a
	 * Llama with the same backbone: see {@link WarmStart}
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
		if (this.cluster != null) {
			this.cluster.agree(facts(data));
		}
		TokenBlocks blocks = this.model.blocks(data, this.options);
		try (TrainingProgram training = this.model.program(this.options, this.program, this.cluster)) {
			training.begin((weights, parameters) -> this.model.load(base, weights, parameters));
			List<Variable> frozen = this.model.loadFrozen(training.program());
			Checkpoint checkpoint = new Checkpoint(directory, training, this.options, data.digest(), base,
					this.model.configuration(), files, frozen, this.model.lowRank());
			boolean first = this.cluster == null || this.cluster.workers().isFirst();
			return new TrainingLoop(this.model, training, this.options, blocks, first ? this.listeners : List.of(),
					this.evaluation, checkpoint, this.cluster, this.trace)
				.run(this.program);
		}
	}

	/** What has to be the same for all workers, by name. */
	private Map<String, String> facts(TokenStore data) {
		Map<String, String> facts = new LinkedHashMap<>();
		facts.put("version",
				Trainer.class.getPackage().getImplementationVersion() + ", TensorFlow " + TensorFlow.version());
		facts.put("phase", this.model.phase().toString());
		facts.put("text", data.digest());
		facts.put("model", this.model.configuration().toString());
		this.options.settings(this.program).forEach((name, value) -> facts.put(name, String.valueOf(value)));
		return facts;
	}

	/**
	 * Does a few steps from random weights and writes nothing.
	 * @param data the tokens
	 * @return what the training would cost
	 * @throws io.calm.input.InvalidInputException if the options or the data do not fit
	 */
	public Trial tryOut(TokenStore data) {
		return tryOut(data, 1 + MEASURED);
	}

	/**
	 * Does some steps from random weights and writes nothing.
	 * @param data the tokens
	 * @param steps how many to do, at least 2
	 * @return what the training would cost
	 * @throws io.calm.input.InvalidInputException if the options or the data do not fit
	 */
	public Trial tryOut(TokenStore data, int steps) {
		TokenBlocks blocks = this.model.blocks(data, this.options);
		try (TrainingProgram training = this.model.program(this.options, this.program, null)) {
			training.begin();
			return Trial.of(this.model, training, blocks, this.options, steps);
		}
	}

}

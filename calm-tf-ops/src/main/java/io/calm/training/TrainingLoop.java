package io.calm.training;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;

import io.calm.checkpoint.ConfigFile;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Variable;
import io.calm.input.InvalidInputException;
import io.calm.model.ModelFiles;
import io.calm.text.TokenBatch;
import io.calm.text.TokenBlocks;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.tensorflow.TensorFlow;

/**
 * Steps, checkpoints and listeners of one training. The checkpoint is a model directory
 * with the optimiser's state beside the weights; a finished model is the same directory
 * without it.
 */
final class TrainingLoop {

	private static final Logger LOG = LoggerFactory.getLogger(TrainingLoop.class);

	private static final String OPTIMIZER = "optimizer.safetensors";

	private static final String STATE = "trainer_state.json";

	private static final String BEST = "best.json";

	/** Stands in a checkpoint that has been evaluated. */
	private static final String EVALUATED = "evaluated.json";

	private final String phase;

	private final TrainingProgram training;

	private final TrainingOptions options;

	private final TokenBlocks blocks;

	private final String dataDigest;

	private final List<TrainingListener> listeners;

	private final Evaluation evaluation;

	private final @Nullable Path base;

	/** The step of the checkpoint in the directory; less than 0 while there is none. */
	private long saved = -1;

	private @Nullable Best best;

	/**
	 * A training.
	 * @param base the model whose weights it begins with, which are loaded already; null
	 * for random ones
	 */
	TrainingLoop(String phase, TrainingProgram training, TrainingOptions options, TokenBlocks blocks, String dataDigest,
			List<TrainingListener> listeners, Evaluation evaluation, @Nullable Path base) {
		this.phase = phase;
		this.training = training;
		this.options = options;
		this.blocks = blocks;
		this.dataDigest = dataDigest;
		this.listeners = listeners;
		this.evaluation = evaluation;
		this.base = base;
	}

	/** The best model so far; how long ago that was follows from the step. */
	private record Best(long step, double quality) {
	}

	/**
	 * Trains, from the checkpoint in the directory if there is one.
	 * @param directory of checkpoint and model
	 * @param shape and options, for the listeners
	 * @param files writes configuration and what else belongs to the model
	 * @param frozen parameters that are saved with the model but not trained
	 * @return the model: the directory, or that of the best model with patience
	 */
	Path run(Path directory, Map<String, Object> shape, Consumer<Path> files, List<Variable> frozen) {
		long done = 0;
		try {
			done = resume(directory);
			long first = done + 1;
			Map<String, Object> settings = new LinkedHashMap<>(shape);
			settings.put("tensorflow_version", TensorFlow.version());
			settings.put(TrainingListener.DATA, this.dataDigest);
			settings.put(TrainingListener.DIRECTORY, directory.toAbsolutePath().toString());
			if (this.base != null) {
				settings.put(TrainingListener.BASE, this.base.toString());
			}
			this.listeners.forEach((listener) -> listener.onStart(this.phase, first, settings));
			if (toEvaluate(done)) {
				// a base, or a checkpoint of which a crash has left no scores
				if (this.saved < done) {
					save(directory, done, files, frozen);
				}
				evaluate(directory, done, files, frozen);
			}
			while (done < this.options.steps() && !Thread.currentThread().isInterrupted() && !stopsEarly(done)) {
				done++;
				StepMetrics metrics = this.training.step(this.phase, done, batches(done));
				this.listeners.forEach((listener) -> listener.onStep(metrics));
				boolean evaluate = toEvaluate(done);
				if (evaluate || due(done, this.options.checkpointEvery())) {
					save(directory, done, files, frozen);
				}
				if (evaluate) {
					evaluate(directory, done, files, frozen);
				}
			}
			if (this.saved < done) {
				save(directory, done, files, frozen);
			}
			long last = done;
			this.listeners.forEach((listener) -> listener.onEnd(this.phase, last));
		}
		catch (RuntimeException ex) {
			this.listeners.forEach((listener) -> listener.onFailure(this.phase, ex));
			throw ex;
		}
		catch (Error ex) {
			TrainingException failure = new TrainingException("The training of the " + this.phase + " failed: " + ex,
					ex);
			this.listeners.forEach((listener) -> listener.onFailure(this.phase, failure));
			throw ex;
		}
		if (!finished(directory, done)) {
			throw new TrainingException("The training of the " + this.phase + " was interrupted after step " + done
					+ "; its state is in " + directory + " and the same command goes on from there");
		}
		return (this.best != null) ? best(directory) : directory;
	}

	private boolean stopsEarly(long step) {
		return this.best != null && (step - this.best.step()) / this.options.evaluateEvery() >= this.options.patience();
	}

	/** Which model is the best, only the evaluation of the last one tells. */
	private boolean finished(Path directory, long step) {
		boolean judged = this.options.patience() == 0 || !toEvaluate(step)
				|| Files.exists(directory.resolve(EVALUATED));
		return judged && (step >= this.options.steps() || stopsEarly(step));
	}

	/** Beside the checkpoint, which is replaced as a whole. */
	private static Path best(Path directory) {
		return directory.resolveSibling(directory.getFileName() + ".best");
	}

	private static boolean due(long step, long every) {
		return every > 0 && step % every == 0;
	}

	/** Of step 0, only a base says something. */
	private boolean toEvaluate(long step) {
		boolean due = due(step, this.options.evaluateEvery())
				|| (this.options.evaluateEvery() > 0 && step == this.options.steps());
		return due && (step > 0 || this.base != null);
	}

	/**
	 * Whoever interrupts a training does not wait for its scores; an interrupt would
	 * close the files they need.
	 */
	private void evaluate(Path directory, long step, Consumer<Path> files, List<Variable> frozen) {
		Path evaluated = directory.resolve(EVALUATED);
		if (Thread.currentThread().isInterrupted() || Files.exists(evaluated)) {
			return;
		}
		Map<String, Double> scores = this.evaluation.score(directory);
		this.listeners.forEach((listener) -> listener.onEvaluation(this.phase, step, scores));
		List<Sample> samples = this.evaluation.samples(directory);
		if (!samples.isEmpty()) {
			this.listeners.forEach((listener) -> listener.onSamples(this.phase, step, samples));
		}
		if (this.options.patience() > 0) {
			keepBest(directory, step, scores, files, frozen);
		}
		uninterrupted(() -> ConfigFile.write(evaluated, Map.of("step", step)));
	}

	private void keepBest(Path directory, long step, Map<String, Double> scores, Consumer<Path> files,
			List<Variable> frozen) {
		double quality = this.evaluation.quality(scores);
		if (Double.isNaN(quality)) {
			throw new InvalidInputException("training, patience",
					"is " + this.options.patience() + ", but nothing says which model is better",
					"give text to evaluate on, or leave the patience out");
		}
		if (this.best == null || quality > this.best.quality()) {
			Path target = best(directory);
			uninterrupted(() -> ModelDirectory.write(target, (model) -> {
				files.accept(model);
				ModelFiles.save(this.training.program(), modelVariables(frozen), model.resolve(ModelFiles.WEIGHTS));
				ConfigFile.write(model.resolve(BEST), Map.of("step", step, "quality", quality));
			}));
			this.best = new Best(step, quality);
			this.listeners.forEach((listener) -> listener.onBest(this.phase, step, target));
		}
	}

	private List<TokenBatch> batches(long step) {
		List<TokenBatch> batches = new ArrayList<>();
		for (int i = 0; i < this.options.accumulation(); i++) {
			batches.add(this.blocks.batch(this.options.batch(), (step - 1) * this.options.accumulation() + i));
		}
		return batches;
	}

	private void save(Path directory, long step, Consumer<Path> files, List<Variable> frozen) {
		this.training.checkFinite(this.phase, step);
		uninterrupted(() -> write(directory, step, files, frozen));
		this.saved = step;
		this.listeners.forEach((listener) -> listener.onCheckpoint(this.phase, step, directory));
	}

	/** An interrupt, which would close the files being written, is put off. */
	private static void uninterrupted(Runnable writing) {
		boolean interrupted = Thread.interrupted();
		try {
			writing.run();
		}
		catch (RuntimeException ex) {
			if (!Thread.interrupted()) {
				throw ex;
			}
			// it came in the middle of the writing
			interrupted = true;
			writing.run();
		}
		finally {
			if (interrupted) {
				Thread.currentThread().interrupt();
			}
		}
	}

	private void write(Path directory, long step, Consumer<Path> files, List<Variable> frozen) {
		ModelDirectory.write(directory, (target) -> {
			files.accept(target);
			ModelFiles.save(this.training.program(), modelVariables(frozen), target.resolve(ModelFiles.WEIGHTS));
			Map<String, Variable> state = new LinkedHashMap<>();
			this.training.optimizerState().forEach((variable) -> state.put(variable.name(), variable));
			this.training.parameters().forEach((variable) -> state.put(variable.name(), variable));
			ModelFiles.save(this.training.program(), state, target.resolve(OPTIMIZER));
			Map<String, Object> position = new LinkedHashMap<>();
			position.put("step", step);
			position.put("seed", this.options.seed());
			position.put("batch", this.options.batch());
			position.put("patches", this.options.patches());
			position.put("accumulation", this.options.accumulation());
			position.put("data", this.dataDigest);
			position.put("base", origin());
			position.putAll(schedule());
			ConfigFile.write(target.resolve(STATE), position);
		});
	}

	/** What is used is the average of the weights where there is one. */
	private Map<String, Variable> modelVariables(List<Variable> frozen) {
		Map<String, Variable> averages = new LinkedHashMap<>();
		this.training.optimizerState().forEach((variable) -> averages.put(variable.name(), variable));
		Map<String, Variable> model = new LinkedHashMap<>();
		for (Variable parameter : this.training.parameters()) {
			ModelFiles.add(model, parameter.name(),
					averages.getOrDefault(TrainingProgram.AVERAGE + parameter.name(), parameter));
		}
		frozen.forEach((variable) -> ModelFiles.add(model, variable.name(), variable));
		return model;
	}

	/** The number of steps already done; 0 when there is no checkpoint. */
	private long resume(Path directory) {
		Path stateFile = directory.resolve(STATE);
		if (!ModelDirectory.exists(directory) || !Files.exists(stateFile)) {
			return 0;
		}
		ConfigFile state = ConfigFile.read(stateFile);
		same(stateFile, "data", state.text("data"), this.dataDigest);
		same(stateFile, "base", state.has("base") ? state.text("base") : "", origin());
		same(stateFile, "seed", state.longInteger("seed"), this.options.seed());
		same(stateFile, "batch", (long) state.integer("batch"), (long) this.options.batch());
		same(stateFile, "patches", (long) state.integer("patches"), (long) this.options.patches());
		same(stateFile, "accumulation", (long) state.integer("accumulation"), (long) this.options.accumulation());
		Path weights = directory.resolve(OPTIMIZER);
		try (TensorFile file = TensorFile.open(weights)) {
			List<Variable> variables = new ArrayList<>(this.training.optimizerState());
			variables.addAll(this.training.parameters());
			ModelFiles.load(this.training.program(), variables, weights, file);
		}
		if (this.options.patience() > 0 && Files.exists(best(directory).resolve(BEST))) {
			ConfigFile found = ConfigFile.read(best(directory).resolve(BEST));
			this.best = new Best(found.longInteger("step"), found.number("quality"));
		}
		this.saved = state.longInteger("step");
		tellChanges(stateFile, state);
		return this.saved;
	}

	/** What may change when a training goes on, though it then ends elsewhere. */
	private Map<String, Object> schedule() {
		Map<String, Object> schedule = new LinkedHashMap<>();
		schedule.put("steps", this.options.steps());
		schedule.put("learning_rate", this.options.learningRate());
		schedule.put("warmup", this.options.warmup());
		schedule.put("decay", this.options.decay().name().toLowerCase(Locale.ROOT));
		schedule.put("averaging", this.options.averaging());
		return schedule;
	}

	private void tellChanges(Path stateFile, ConfigFile state) {
		List<String> changes = new ArrayList<>();
		schedule().forEach((name, given) -> {
			// older checkpoints say less
			String before = state.has(name) ? state.plain(name) : given.toString();
			if (!before.equals(given.toString())) {
				changes.add(name.replace('_', ' ') + " (" + before + ", now " + given + ")");
			}
		});
		if (!changes.isEmpty()) {
			LOG.warn("{}: the training goes on after step {} with other options: {}", stateFile, this.saved,
					String.join(", ", changes));
		}
	}

	private String origin() {
		return (this.base != null) ? this.base.toAbsolutePath().normalize().toString() : "";
	}

	private static void same(Path file, String what, Object saved, Object given) {
		if (!saved.equals(given)) {
			throw new InvalidInputException(file.toString(),
					"the checkpoint was trained with another " + what + " (" + saved + ", now " + given + ")",
					"resume with the same " + what + " or give another output directory");
		}
	}

}

package io.calm.training;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;

import io.calm.checkpoint.ConfigFile;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.LowRank;
import io.calm.graph.Program;
import io.calm.graph.Variable;
import io.calm.input.InvalidInputException;
import io.calm.model.ModelFiles;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where a training stands: a model directory with the optimiser's state beside the
 * weights, replaced as a whole. A finished model is the same directory without that
 * state. The best model so far lies beside it.
 */
public final class Checkpoint {

	private static final Logger LOG = LoggerFactory.getLogger(Checkpoint.class);

	private static final String OPTIMIZER = "optimizer.safetensors";

	private static final String STATE = "trainer_state.json";

	private static final String BEST = "best.json";

	/** Stands in a checkpoint that has been evaluated. */
	private static final String EVALUATED = "evaluated.json";

	private static final Set<String> OF_THE_TRAINING = Set.of(OPTIMIZER, STATE, BEST, EVALUATED);

	private static final String WORK = ".training";

	private final Path directory;

	private final TrainingProgram training;

	private final TrainingOptions options;

	private final String dataDigest;

	private final @Nullable Path base;

	private final Map<String, Object> configuration;

	private final Consumer<Path> files;

	private final List<Variable> frozen;

	/** Null where not an adapter is trained but a model. */
	private final @Nullable LowRank lowRank;

	/**
	 * A checkpoint, which may not be there yet.
	 * @param directory of checkpoint and model
	 * @param training what is trained
	 * @param options of the training
	 * @param dataDigest tells its text from others
	 * @param base the model whose weights it begins with; null for random ones
	 * @param configuration of the model, as its file says it
	 * @param files writes what else belongs to the model
	 * @param frozen parameters that are saved with the model but not trained
	 * @param lowRank the adaptation that is trained, and saved as an adapter of the base;
	 * null for a model
	 */
	Checkpoint(Path directory, TrainingProgram training, TrainingOptions options, String dataDigest,
			@Nullable Path base, Map<String, Object> configuration, Consumer<Path> files, List<Variable> frozen,
			@Nullable LowRank lowRank) {
		this.directory = directory;
		this.training = training;
		this.options = options;
		this.dataDigest = dataDigest;
		this.base = base;
		this.configuration = configuration;
		this.files = files;
		this.frozen = frozen;
		this.lowRank = lowRank;
	}

	/**
	 * A model, and how good it is.
	 *
	 * @param step after which it stood so
	 * @param quality as {@link Evaluation#quality} tells it
	 */
	record Best(long step, double quality) {
	}

	/**
	 * Where the checkpoints of a training lie until its output is finished.
	 * @param output the model directory to be
	 * @return a directory beside it
	 */
	public static Path workOf(Path output) {
		return output.resolveSibling(output.getFileName() + WORK);
	}

	/**
	 * Whether a directory is one of {@link #workOf}.
	 * @param directory a directory
	 * @return true by its name
	 */
	public static boolean isWork(Path directory) {
		return String.valueOf(directory.getFileName()).endsWith(WORK);
	}

	/**
	 * Whether a file of a checkpoint belongs to the training alone. All others are the
	 * model's.
	 * @param fileName its name without directories
	 * @return true for what a finished model does not need
	 */
	public static boolean isOfTraining(String fileName) {
		return OF_THE_TRAINING.contains(fileName);
	}

	Path directory() {
		return this.directory;
	}

	String dataDigest() {
		return this.dataDigest;
	}

	Map<String, Object> configuration() {
		return this.configuration;
	}

	/** The model whose weights the training began with; none for random ones. */
	Optional<Path> base() {
		return Optional.ofNullable(this.base);
	}

	private String origin() {
		return base().map((directory) -> directory.toAbsolutePath().normalize().toString()).orElse("");
	}

	private String adaptation() {
		return (this.lowRank != null) ? this.lowRank.rank() + ", " + this.lowRank.alpha() : "";
	}

	/** Beside the checkpoint, which is replaced as a whole. */
	Path bestModel() {
		return this.directory.resolveSibling(this.directory.getFileName() + ".best");
	}

	/**
	 * Reads the training's state.
	 * @return the number of steps already done; none where there is no checkpoint
	 * @throws InvalidInputException if it is one of another training
	 */
	Optional<Long> resume() {
		Path stateFile = this.directory.resolve(STATE);
		if (!ModelDirectory.exists(this.directory) || !Files.exists(stateFile)) {
			return Optional.empty();
		}
		ConfigFile state = ConfigFile.read(stateFile);
		same(stateFile, "data", state.text("data"), this.dataDigest);
		same(stateFile, "base", state.has("base") ? state.text("base") : "", origin());
		same(stateFile, "adaptation", state.has("adaptation") ? state.text("adaptation") : "", adaptation());
		same(stateFile, "seed", state.longInteger("seed"), this.options.seed());
		same(stateFile, "batch", (long) state.integer("batch"), (long) this.options.batch());
		same(stateFile, "patches", (long) state.integer("patches"), (long) this.options.patches());
		same(stateFile, "accumulation", (long) state.integer("accumulation"), (long) this.options.accumulation());
		Path weights = this.directory.resolve(OPTIMIZER);
		try (TensorFile file = TensorFile.open(weights)) {
			List<Variable> variables = new ArrayList<>(this.training.optimizerState());
			variables.addAll(this.training.parameters());
			ModelFiles.load(this.training.program(), variables, weights, file);
		}
		long step = state.longInteger("step");
		tellChanges(stateFile, state, step);
		return Optional.of(step);
	}

	/** What the best model is, if one was kept. */
	Optional<Best> best() {
		Path file = bestModel().resolve(BEST);
		if (!Files.exists(file)) {
			return Optional.empty();
		}
		ConfigFile found = ConfigFile.read(file);
		return Optional.of(new Best(found.longInteger("step"), found.number("quality")));
	}

	boolean isEvaluated() {
		return Files.exists(this.directory.resolve(EVALUATED));
	}

	void setEvaluated(long step) {
		uninterrupted(() -> ConfigFile.write(this.directory.resolve(EVALUATED), Map.of("step", step)));
	}

	/**
	 * Replaces the checkpoint by what the program holds now.
	 * @param step the last one done
	 */
	void save(long step) {
		uninterrupted(() -> ModelDirectory.write(this.directory, (target) -> {
			writeModel(target);
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
			position.put("adaptation", adaptation());
			position.putAll(schedule());
			ConfigFile.write(target.resolve(STATE), position);
		}));
	}

	/**
	 * Replaces the best model by what the program holds now.
	 * @param best what is said of it
	 */
	void keepBest(Best best) {
		uninterrupted(() -> ModelDirectory.write(bestModel(), (target) -> {
			writeModel(target);
			ConfigFile.write(target.resolve(BEST), Map.of("step", best.step(), "quality", best.quality()));
		}));
	}

	private void writeModel(Path target) {
		ConfigFile.write(target.resolve(ModelDirectory.CONFIG), this.configuration);
		this.files.accept(target);
		Program program = this.training.program();
		if (this.lowRank != null && this.base != null) {
			ModelFiles.saveAdapter(program, modelVariables(), this.lowRank, this.base, target);
		}
		else {
			ModelFiles.save(program, modelVariables(), target.resolve(ModelFiles.WEIGHTS));
		}
	}

	/** What is used is the average of the weights where there is one. */
	private Map<String, Variable> modelVariables() {
		Map<String, Variable> averages = new LinkedHashMap<>();
		this.training.optimizerState().forEach((variable) -> averages.put(variable.name(), variable));
		Map<String, Variable> model = new LinkedHashMap<>();
		for (Variable parameter : this.training.parameters()) {
			ModelFiles.add(model, parameter.name(),
					averages.getOrDefault(TrainingProgram.AVERAGE + parameter.name(), parameter));
		}
		if (this.lowRank != null) {
			return model;
		}
		this.frozen.forEach((variable) -> ModelFiles.add(model, variable.name(), variable));
		return model;
	}

	/** What may change when a training goes on, though it then ends elsewhere. */
	private Map<String, Object> schedule() {
		LearningRate rate = this.options.learningRate();
		Map<String, Object> schedule = new LinkedHashMap<>();
		schedule.put("steps", this.options.steps());
		schedule.put("learning_rate", rate.greatest());
		schedule.put("warmup", rate.warmup());
		schedule.put("decay", rate.decay().name().toLowerCase(Locale.ROOT));
		schedule.put("backbone_rate", this.options.backboneRate().share());
		schedule.put("frozen_steps", this.options.backboneRate().frozenSteps());
		schedule.put("averaging", this.options.averaging());
		schedule.put("workers", this.training.share().workers());
		return schedule;
	}

	private void tellChanges(Path stateFile, ConfigFile state, long step) {
		List<String> changes = new ArrayList<>();
		schedule().forEach((name, given) -> {
			// older checkpoints say less
			String before = state.has(name) ? state.plain(name) : given.toString();
			if (!before.equals(given.toString())) {
				changes.add(name.replace('_', ' ') + " (" + before + ", now " + given + ")");
			}
		});
		if (!changes.isEmpty()) {
			LOG.warn("{}: the training resumes after step {} with other options: {}", stateFile, step,
					String.join(", ", changes));
		}
	}

	private static void same(Path file, String what, Object saved, Object given) {
		if (!saved.equals(given)) {
			throw new InvalidInputException(file.toString(),
					"the checkpoint was trained with another " + what + " (" + saved + ", now " + given + ")",
					"resume with the same " + what + " or give another output directory");
		}
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

}

package io.calm.mlflow;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.stream.Collectors;

import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowOptions.Checkpoints;
import io.calm.mlflow.SpoolEntry.End;
import io.calm.mlflow.SpoolEntry.Metrics;
import io.calm.mlflow.SpoolEntry.Start;
import io.calm.mlflow.SpoolEntry.Text;
import io.calm.training.Checkpoint;
import io.calm.training.Phase;
import io.calm.training.Sample;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingEnd;
import io.calm.training.TrainingEnd.Outcome;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingStart;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Follows trainings on an MLflow tracking server. A training is one run, in which those
 * of its phases are nested. Whatever the server does, or if there is none, the training
 * goes on as if nobody looked, and nothing of it is lost: see the package's description.
 * A training that goes on from a checkpoint goes on with its runs.
 *
 * <pre>{@code
 * try (MlflowListener mlflow = MlflowListener.of((m) -> m.trackingUri("http://localhost:5000").experiment("tickets"))) {
 *   Calm.train((t) -> t.corpus(…).listener(mlflow).output(…)).close();
 * }
 * }</pre>
 *
 * Closing waits a while for the server. A listener that nobody closes is closed when the
 * JVM ends; a training that is running then, for example because of a signal, is marked
 * KILLED. Of texts and prompts only those are logged that a training was told to
 * {@linkplain io.calm.CalmTraining#samples sample}.
 */
public final class MlflowListener implements TrainingListener, AutoCloseable {

	/** Before the names of the scores of an evaluation. */
	public static final String EVALUATION = "evaluation/";

	static final String KILLED = "KILLED";

	static final String FINISHED = "FINISHED";

	static final String FAILED = "FAILED";

	private static final Logger LOG = LoggerFactory.getLogger(MlflowListener.class);

	private final MlflowOptions options;

	/** The recorder of the study that the training belongs to; null for one alone. */
	private final @Nullable Recorder study;

	/** The name of the training's run among those of its recorder. */
	private final String run;

	private final ExitHook atExit = new ExitHook(this::close);

	/** The phases that run, with the number of their last step. */
	private final Map<Phase, Long> running = new EnumMap<>(Phase.class);

	private @Nullable Recorder recorder;

	/** Nothing more comes for the recorder. */
	private boolean over;

	/** Whether a whole training is followed, and not only a phase. */
	private boolean whole;

	/** Whether the training's run has something to end with. */
	private boolean open;

	private MlflowListener(MlflowOptions options, @Nullable Recorder study, String run) {
		this.options = options;
		this.study = study;
		this.run = run;
		this.open = study != null;
	}

	/**
	 * Makes a listener that records trainings on the server at an address.
	 * @param trackingUri such as {@code http://localhost:5000}
	 * @return the listener; nothing is called before a training begins
	 */
	public static MlflowListener to(String trackingUri) {
		return of((options) -> options.trackingUri(trackingUri));
	}

	/**
	 * Makes a listener from options.
	 * @param options set server, experiment, run and more; without a tracking URI, here
	 * and in {@code MLFLOW_TRACKING_URI}, everything stays in the spool
	 * @return the listener; nothing is called before a training begins
	 * @throws InvalidInputException if an option cannot be used
	 */
	public static MlflowListener of(Consumer<MlflowOptions.Builder> options) {
		return of(MlflowOptions.of(options));
	}

	static MlflowListener of(MlflowOptions options) {
		return new MlflowListener(options, null, SpoolEntry.PARENT);
	}

	/** For a training of a study, whose run there is already. */
	static MlflowListener of(MlflowOptions options, Recorder study, String run) {
		return new MlflowListener(options, study, run);
	}

	/**
	 * How far the records of the present training, or the last, have come.
	 * @return empty before the first
	 */
	public synchronized Optional<MlflowStatus> status() {
		return Optional.ofNullable(this.recorder).map(Recorder::status);
	}

	@Override
	public synchronized void onTrainingStart(List<Phase> phases) {
		this.whole = true;
	}

	@Override
	public void onStart(TrainingStart start) {
		follow(() -> start(start));
		if (this.options.failFast() && this.options.connection().isPresent()) {
			Recorder begun = current();
			if (begun != null) {
				begun.awaitRun();
				begun.check();
			}
		}
	}

	private synchronized void start(TrainingStart start) {
		Map<String, String> params = new LinkedHashMap<>();
		start.settings().forEach((name, value) -> flatten(name, value, params));
		flatten("data_digest", start.dataDigest(), params);
		if (start.base() != null) {
			// not where it lies
			flatten("base_model", start.base().getFileName(), params);
		}
		Start begin = new Start(name(start.phase()), now(), start.directory().toString(), params,
				this.options.dataset(), start.dataDigest());
		Recorder to = this.recorder;
		if (to == null || this.over) {
			to = this.study;
			if (to == null) {
				to = new Recorder(this.options, spool(start.directory()), UUID.randomUUID().toString(), begin,
						start.firstStep() > 1);
				this.atExit.add();
			}
			this.recorder = to;
			this.over = false;
			this.open = true;
			this.running.clear();
		}
		this.running.put(start.phase(), start.steps());
		to.offer(begin);
	}

	private String name(Phase phase) {
		return this.run + phase;
	}

	/** Beside what the training writes, so that both are on the same volume. */
	private Path spool(Path checkpoints) {
		return this.options.spool().orElseGet(() -> {
			Path beside = checkpoints.toAbsolutePath().normalize();
			Path parent = beside.getParent();
			if (parent != null && Checkpoint.isWork(parent)) {
				beside = parent;
			}
			return beside.resolveSibling("mlflow-spool");
		});
	}

	private void flatten(String name, @Nullable Object value, Map<String, String> params) {
		if (value instanceof Map<?, ?> nested) {
			nested.forEach((key, each) -> flatten(name + "." + key, each, params));
		}
		else if (value instanceof Iterable<?> list) {
			List<String> texts = new ArrayList<>();
			list.forEach((each) -> texts.add(String.valueOf(each)));
			params.put(name, mask(String.join(",", texts)));
		}
		else {
			params.put(name, mask(String.valueOf(value)));
		}
	}

	@Override
	public void onStep(StepMetrics metrics) {
		follow(() -> {
			Recorder to = recording(metrics.phase());
			if (to != null) {
				Map<String, Double> values = new LinkedHashMap<>();
				values.put("loss", metrics.loss());
				values.put("learning_rate", metrics.learningRate());
				values.put("gradient_norm", metrics.gradientNorm());
				values.put("tokens_per_second", metrics.tokensPerSecond());
				values.put("step_milliseconds", metrics.milliseconds());
				metrics.more().forEach(values::putIfAbsent);
				to.offer(new Metrics(name(metrics.phase()), now(), metrics.step(), values));
			}
		});
		checkIfFailFast();
	}

	@Override
	public void onEvaluation(Phase phase, long step, Map<String, Double> metrics) {
		follow(() -> {
			Recorder to = recording(phase);
			if (to != null) {
				Map<String, Double> values = metrics.entrySet()
					.stream()
					.collect(Collectors.toMap((score) -> EVALUATION + score.getKey(), Map.Entry::getValue));
				to.offer(new Metrics(name(phase), now(), step, values));
			}
		});
		checkIfFailFast();
	}

	/**
	 * What the model has written, for prompts that somebody has asked it to go on with.
	 */
	@Override
	public void onSamples(Phase phase, long step, List<Sample> samples) {
		follow(() -> {
			Recorder to = recording(phase);
			if (to != null) {
				String text = samples.stream()
					.map((sample) -> "Prompt: " + sample.prompt() + "\nText: " + sample.text() + "\n")
					.collect(Collectors.joining("\n"));
				// names in the order of the steps
				String name = String.format(Locale.ROOT, "samples/step-%08d.txt", step);
				to.offer(new Text(name(phase), now(), name, mask(text)));
			}
		});
		checkIfFailFast();
	}

	/**
	 * Keeps the checkpoint if it is to be sent: by hard links, or, where the spool is on
	 * another file system, by copying it on the training's thread.
	 */
	@Override
	public void onCheckpoint(Phase phase, long step, Path directory) {
		follow(() -> {
			Recorder to = recording(phase);
			Checkpoints sent = this.options.checkpoints();
			if (to != null && (sent.last() || sent == Checkpoints.ALL)) {
				to.offerCheckpoint(name(phase), step, directory, sent.last() ? "last" : "step-" + step);
			}
		});
		checkIfFailFast();
	}

	/** Keeps the best model so far, like a checkpoint. */
	@Override
	public void onBest(Phase phase, long step, Path directory) {
		follow(() -> {
			Recorder to = recording(phase);
			if (to != null && this.options.checkpoints().best()) {
				to.offerCheckpoint(name(phase), step, directory, "best");
			}
		});
		checkIfFailFast();
	}

	@Override
	public void onEnd(Phase phase, long step) {
		follow(() -> end(phase, step));
		checkIfFailFast();
	}

	private synchronized void end(Phase phase, long step) {
		Recorder to = recording(phase);
		Long steps = this.running.remove(phase);
		if (to == null || steps == null) {
			return;
		}
		// an interrupted training has saved its state and ends before its last step, as
		// does one whose patience is at its end; this is the training's thread
		String status = (step < steps && Thread.currentThread().isInterrupted()) ? KILLED : FINISHED;
		to.offer(new End(name(phase), now(), status, Map.of()));
		if (!this.whole) {
			endTraining(to, status, Map.of());
		}
	}

	@Override
	public void onFailure(Phase phase, RuntimeException failure) {
		follow(() -> fail(phase, failure));
	}

	private synchronized void fail(Phase phase, RuntimeException failure) {
		Recorder to = this.recorder;
		if (to == null || this.over) {
			return;
		}
		if (this.running.remove(phase) != null) {
			to.offer(new End(name(phase), now(), FAILED, reason(failure)));
		}
		if (!this.whole) {
			endTraining(to, FAILED, reason(failure));
		}
	}

	private Map<String, String> reason(@Nullable RuntimeException failure) {
		return (failure != null) ? Map.of("calm.error", mask(failure.toString())) : Map.of();
	}

	@Override
	public void onTrainingEnd(TrainingEnd end) {
		follow(() -> end(end));
	}

	private synchronized void end(TrainingEnd end) {
		Recorder to = this.recorder;
		if (to != null && !this.over && end.outcome() == Outcome.PAUSED && this.study != null) {
			// the study knows whether it goes on
			this.running.clear();
			this.over = true;
		}
		else if (to != null && !this.over) {
			endTraining(to, switch (end.outcome()) {
				case FINISHED -> FINISHED;
				// either goes on in the same runs
				case INTERRUPTED, PAUSED -> KILLED;
				case FAILED -> FAILED;
			}, reason(end.failure()));
		}
		this.whole = false;
	}

	private void endTraining(Recorder to, String status, Map<String, String> tags) {
		for (Phase phase : this.running.keySet()) {
			to.offer(new End(name(phase), now(), status, Map.of()));
		}
		this.running.clear();
		to.offer(new End(this.run, now(), status, tags));
		if (this.study == null) {
			to.finish();
		}
		this.over = true;
		this.open = false;
	}

	/** The study has ended the run of this training. */
	synchronized void leave() {
		this.open = false;
	}

	/**
	 * Ends the training that is still followed, and waits a while until the server has
	 * all of it; the rest stays in the spool. One of a {@link MlflowStudy} does not wait.
	 */
	@Override
	public void close() {
		Recorder to;
		synchronized (this) {
			to = (this.study != null) ? this.study : this.recorder;
			if (to != null && this.open) {
				endTraining(to, KILLED, Map.of());
			}
			this.atExit.remove();
		}
		if (to != null && this.study == null) {
			// not with the lock: the training's thread may still be running
			to.close(this.options.closeTimeout());
		}
	}

	private synchronized @Nullable Recorder current() {
		return this.recorder;
	}

	private synchronized @Nullable Recorder recording(Phase phase) {
		return (!this.over && this.running.containsKey(phase)) ? this.recorder : null;
	}

	private void checkIfFailFast() {
		Recorder to = this.options.failFast() ? current() : null;
		if (to != null) {
			to.check();
		}
	}

	/** What goes wrong here is not the training's concern. */
	private static void follow(Runnable action) {
		try {
			action.run();
		}
		catch (RuntimeException ex) {
			LOG.warn("The training continues, but MLflow does not get this event", ex);
		}
	}

	private String mask(String text) {
		return this.options.connection()
			.map((connection) -> connection.mask(text))
			.orElseGet(() -> MlflowConnection.maskAddresses(text));
	}

	private static long now() {
		return System.currentTimeMillis();
	}

}

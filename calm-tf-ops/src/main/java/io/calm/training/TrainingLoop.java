package io.calm.training;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

import io.calm.cluster.Cluster;
import io.calm.graph.LowRank;
import io.calm.graph.ProductSpeed;
import io.calm.graph.ProgramOptions;
import io.calm.graph.Trace;
import io.calm.input.InvalidInputException;
import io.calm.text.TokenBlocks;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.tensorflow.TensorFlow;

/**
 * The steps of one training: after which of them the model is saved and evaluated, and
 * what listeners are told.
 */
final class TrainingLoop {

	private static final Logger LOG = LoggerFactory.getLogger(TrainingLoop.class);

	/** From this step on; to find out the machine's speed takes a second. */
	private static final long COMPARED = 100;

	/** Steps after the first that are not recorded: kernels are compiled in them. */
	private static final int UNRECORDED = 10;

	private static final int RECORDED = 3;

	private final Phase phase;

	private final double flopsPerStep;

	/** What listeners are told of a low-rank adaptation; else nothing. */
	private final Map<String, Object> adaptation;

	private final TrainingProgram training;

	private final TrainingOptions options;

	private final TokenBlocks blocks;

	private final List<TrainingListener> listeners;

	private final Evaluation evaluation;

	private final Checkpoint checkpoint;

	/** Null if there is one worker only. */
	private final @Nullable Cluster cluster;

	/** Where some steps are recorded; null for nowhere. */
	private final @Nullable Trace trace;

	/** The step of the checkpoint; less than 0 while there is none. */
	private long saved = -1;

	/** The best model so far; how long ago that was follows from the step. */
	private Checkpoint.@Nullable Best best;

	/**
	 * Whether the model of the last evaluation has its scores, as the first worker says.
	 */
	private boolean judged;

	TrainingLoop(Trainable model, TrainingProgram training, TrainingOptions options, TokenBlocks blocks,
			List<TrainingListener> listeners, Evaluation evaluation, Checkpoint checkpoint, @Nullable Cluster cluster,
			@Nullable Trace trace) {
		this.phase = model.phase();
		this.flopsPerStep = model.flopsPerStep(options);
		LowRank lowRank = model.lowRank();
		this.adaptation = (lowRank != null) ? Map.of("lora_rank", lowRank.rank(), "lora_alpha", lowRank.alpha())
				: Map.of();
		this.training = training;
		this.options = options;
		this.blocks = blocks;
		this.listeners = listeners;
		this.evaluation = evaluation;
		this.checkpoint = checkpoint;
		this.cluster = cluster;
		this.trace = trace;
	}

	/**
	 * Trains, from the checkpoint if there is one.
	 * @param program device, precision and fusion, for the listeners
	 * @return the model: the checkpoint's directory, or that of the best model with
	 * patience
	 */
	Path run(ProgramOptions program) {
		long done = 0;
		try {
			done = resume();
			long first = done + 1;
			tell("begins with step " + first);
			TrainingStart start = start(first, program);
			this.listeners.forEach((listener) -> listener.onStart(start));
			if (toEvaluate(done)) {
				// a base, or a checkpoint of which a crash has left no scores
				if (this.saved < done) {
					save(done);
				}
				evaluate(done);
			}
			while (done < this.options.lastStep() && !this.training.isInterrupted() && !stopsEarly(done)) {
				done++;
				record(done, first);
				StepMetrics metrics = compared(
						this.training.step(this.phase, done, this.training.share().of(this.blocks, done)), program);
				this.listeners.forEach((listener) -> listener.onStep(metrics));
				boolean evaluate = toEvaluate(done);
				if (evaluate || due(done, this.options.checkpointEvery())) {
					save(done);
				}
				if (evaluate) {
					evaluate(done);
				}
			}
			if (this.trace != null) {
				this.trace.write();
			}
			if (this.saved < done) {
				save(done);
			}
			if (this.cluster != null) {
				// the others read what the first one has written
				this.cluster.exchange();
			}
			tell("ends after step " + done);
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
		if (!finished(done)) {
			throw new TrainingException("The training of the " + this.phase + " was interrupted after step " + done
					+ "; its state is in " + this.checkpoint.directory() + " and the same command resumes there");
		}
		return (this.best != null) ? this.checkpoint.bestModel() : this.checkpoint.directory();
	}

	/** Begins and ends to record, before a step. */
	private void record(long step, long first) {
		if (this.trace == null) {
			return;
		}
		long from = Math.max(first, Math.min(first + UNRECORDED, this.options.lastStep() - RECORDED + 1));
		if (step == from) {
			this.trace.begin(this.phase.toString());
		}
		this.training.program().record((step >= from && step < from + RECORDED) ? this.trace : null);
		if (step == from + RECORDED) {
			this.trace.write();
		}
	}

	/** With what the step reaches of the speed that all workers together could have. */
	private StepMetrics compared(StepMetrics metrics, ProgramOptions program) {
		if (metrics.step() < COMPARED) {
			return metrics;
		}
		double possible = ProductSpeed.of(program) * this.training.share().workers();
		return metrics.with("flops_utilisation", this.flopsPerStep / (metrics.milliseconds() / 1e3) / possible);
	}

	/** The number of steps already done. */
	private long resume() {
		// the first one may have to repair what a crash has left
		Optional<Long> step = (this.cluster != null) ? this.cluster.firstThenOthers(this.checkpoint::resume)
				: this.checkpoint.resume();
		if (step.isPresent()) {
			if (this.options.patience() > 0) {
				this.best = this.checkpoint.best().orElse(null);
			}
			this.saved = step.get();
		}
		if (this.cluster != null) {
			checkSame(this.cluster, step.orElse(0L));
		}
		return step.orElse(0L);
	}

	private void checkSame(Cluster workers, long step) {
		long[][] all = workers.exchange(step, this.training.digest(), (this.best != null) ? this.best.step() : -1);
		for (int worker = 1; worker < all.length; worker++) {
			if (!Arrays.equals(all[worker], all[0])) {
				throw new InvalidInputException(this.checkpoint.directory().toString(),
						(all[worker][0] != all[0][0])
								? "worker %d resumes after step %d, worker 0 after step %d".formatted(worker,
										all[worker][0], all[0][0])
								: "worker " + worker + " begins with other weights than worker 0",
						"let all workers have the same output directory, on a volume that they share");
			}
		}
	}

	/** What a worker without listeners says. */
	private void tell(String what) {
		if (!isFirst()) {
			LOG.info("The {} {}", this.phase, what);
		}
	}

	private boolean isFirst() {
		return this.cluster == null || this.cluster.workers().isFirst();
	}

	private TrainingStart start(long firstStep, ProgramOptions program) {
		Map<String, Object> settings = new LinkedHashMap<>(this.checkpoint.configuration());
		settings.putAll(this.options.settings(program));
		settings.putAll(this.adaptation);
		settings.put("tensorflow_version", TensorFlow.version());
		if (this.cluster != null) {
			settings.put("workers", this.cluster.workers().count());
			settings.put("reduction_precision", this.cluster.precision().name().toLowerCase(Locale.ROOT));
		}
		return new TrainingStart(this.phase, firstStep, this.options.steps(), settings, this.checkpoint.dataDigest(),
				this.checkpoint.directory().toAbsolutePath(), this.checkpoint.base().orElse(null));
	}

	private boolean stopsEarly(long step) {
		return this.best != null && (step - this.best.step()) / this.options.evaluateEvery() >= this.options.patience();
	}

	/** Which model is the best, only the evaluation of the last one tells. */
	private boolean finished(long step) {
		return (this.options.patience() == 0 || !toEvaluate(step) || this.judged)
				&& (step >= this.options.lastStep() || stopsEarly(step));
	}

	private static boolean due(long step, long every) {
		return every > 0 && step % every == 0;
	}

	/** Of step 0, only a base says something. */
	private boolean toEvaluate(long step) {
		boolean due = due(step, this.options.evaluateEvery())
				|| (this.options.evaluateEvery() > 0 && step == this.options.lastStep());
		return due && (step > 0 || this.checkpoint.base().isPresent());
	}

	private void evaluate(long step) {
		if (isFirst()) {
			score(step);
		}
		this.judged = isFirst() && this.checkpoint.isEvaluated();
		if (this.cluster != null) {
			Checkpoint.Best found = this.best;
			long[] said = this.cluster.exchange(this.judged ? 1 : 0, (found != null) ? found.step() : -1,
					Double.doubleToLongBits((found != null) ? found.quality() : 0))[0];
			this.judged = said[0] == 1;
			this.best = (said[1] >= 0) ? new Checkpoint.Best(said[1], Double.longBitsToDouble(said[2])) : null;
		}
	}

	/**
	 * Whoever interrupts a training does not wait for its scores; an interrupt would
	 * close the files they need.
	 */
	private void score(long step) {
		if (Thread.currentThread().isInterrupted() || this.checkpoint.isEvaluated()) {
			return;
		}
		Path model = this.checkpoint.directory();
		Map<String, Double> scores = this.evaluation.score(model);
		this.listeners.forEach((listener) -> listener.onEvaluation(this.phase, step, scores));
		List<Sample> samples = this.evaluation.samples(model);
		if (!samples.isEmpty()) {
			this.listeners.forEach((listener) -> listener.onSamples(this.phase, step, samples));
		}
		if (this.options.patience() > 0) {
			keepBest(step, scores);
		}
		this.checkpoint.setEvaluated(step);
	}

	private void keepBest(long step, Map<String, Double> scores) {
		double quality = this.evaluation.quality(scores);
		if (Double.isNaN(quality)) {
			throw new InvalidInputException("training, patience",
					"is " + this.options.patience() + ", but nothing says which model is better",
					"give text to evaluate on, or leave the patience out");
		}
		if (this.best == null || quality > this.best.quality()) {
			Checkpoint.Best better = new Checkpoint.Best(step, quality);
			this.checkpoint.keepBest(better);
			this.best = better;
			this.listeners.forEach((listener) -> listener.onBest(this.phase, step, this.checkpoint.bestModel()));
		}
	}

	private void save(long step) {
		this.training.checkFinite(this.phase, step);
		this.saved = step;
		if (!isFirst()) {
			return;
		}
		this.checkpoint.save(step);
		this.listeners.forEach((listener) -> listener.onCheckpoint(this.phase, step, this.checkpoint.directory()));
	}

}

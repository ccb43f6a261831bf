package io.calm.mlflow;

import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

import io.calm.mlflow.SpoolEntry.End;
import io.calm.mlflow.SpoolEntry.Metrics;
import io.calm.mlflow.SpoolEntry.Start;
import org.jspecify.annotations.Nullable;

/**
 * Follows trainings that belong together, such as a sweep, on an MLflow tracking server:
 * one run for the whole, in which those of its trainings are nested, each with those of
 * its phases. What holds for {@link MlflowListener} holds here too: the server may be
 * away, and a study that goes on after a kill goes on with its runs.
 *
 * <pre>{@code
 * try (MlflowStudy study = MlflowStudy.of(key, output, Map.of(), (m) -> m.experiment("tickets").run("sweep"))) {
 *   for (double rate : rates) {
 *     MlflowListener listener = study.training("rate " + rate, Map.of("learning_rate", "" + rate));
 *     Calm.train((t) -> t.corpus(…).listener(listener).output(…)).close();
 *   }
 *   study.artifact(table);
 *   study.finish();
 * }
 * }</pre>
 *
 * Trainings may run at the same time. A study that nobody closes is closed when the JVM
 * ends; what has not finished then is marked KILLED.
 */
public final class MlflowStudy implements AutoCloseable {

	private final MlflowOptions options;

	private final Recorder recorder;

	private final Map<String, MlflowListener> trainings = new LinkedHashMap<>();

	private final ExitHook atExit = new ExitHook(this::close);

	private boolean over;

	private MlflowStudy(MlflowOptions options, Recorder recorder) {
		this.options = options;
		this.recorder = recorder;
	}

	/**
	 * Begins to follow a study, or goes on with it.
	 * @param key names the study for ever: the same key means the same run. A random UUID
	 * that the study keeps
	 * @param output the directory of the study; the spool is {@code mlflow-spool} in it,
	 * unless the options say otherwise
	 * @param params of the study's run
	 * @param options set server, experiment, name of the run and more, as for
	 * {@link MlflowListener#of}
	 * @return the study
	 * @throws io.calm.input.InvalidInputException if an option cannot be used
	 */
	public static MlflowStudy of(String key, Path output, Map<String, String> params,
			Consumer<MlflowOptions.Builder> options) {
		MlflowOptions chosen = MlflowOptions.of(options);
		Path directory = output.toAbsolutePath().normalize();
		Start begin = new Start(SpoolEntry.PARENT, System.currentTimeMillis(), directory.toString(),
				masked(chosen, params), chosen.dataset(), "");
		Recorder recorder = new Recorder(chosen, chosen.spool().orElse(directory.resolve("mlflow-spool")), key, begin,
				true);
		recorder.offer(begin);
		MlflowStudy study = new MlflowStudy(chosen, recorder);
		study.atExit.add();
		return study;
	}

	private static Map<String, String> masked(MlflowOptions options, Map<String, String> params) {
		Map<String, String> masked = new LinkedHashMap<>(params);
		masked.replaceAll((name, value) -> options.connection()
			.map((connection) -> connection.mask(value))
			.orElseGet(() -> MlflowConnection.maskAddresses(value)));
		return masked;
	}

	/** A name between others in the spool. */
	private static String run(String training) {
		return training.replace(SpoolEntry.BELOW, "-") + SpoolEntry.BELOW;
	}

	/**
	 * Begins the run of a training, or goes on with it.
	 * @param name of the training, unique in the study
	 * @param params of its run: what distinguishes it from the others
	 * @return follows the training. Closing it ends its run, if the training has not;
	 * closing the study does so too
	 */
	public synchronized MlflowListener training(String name, Map<String, String> params) {
		String run = run(name);
		this.recorder.offer(new Start(run, System.currentTimeMillis(), "", masked(this.options, params),
				this.options.dataset(), ""));
		MlflowListener listener = MlflowListener.of(this.options, this.recorder, run);
		this.trainings.put(name, listener);
		return listener;
	}

	/**
	 * Records what was measured of a training, as metrics of its run.
	 * @param training its name
	 * @param step after which it was measured; of each metric only steps after the last
	 * one count
	 * @param scores by name
	 */
	public void scores(String training, long step, Map<String, Double> scores) {
		this.recorder.offer(new Metrics(run(training), System.currentTimeMillis(), step, scores));
	}

	/**
	 * Ends the run of a training that pauses and does not go on, or that has finished
	 * without being followed. A training that is followed ends its run itself when it
	 * finishes or fails.
	 * @param training its name
	 * @param time when it ended
	 * @param tags of the run, such as why
	 */
	public void end(String training, Instant time, Map<String, String> tags) {
		this.recorder.offer(new End(run(training), time.toEpochMilli(), MlflowListener.FINISHED, tags));
		MlflowListener listener = forget(training);
		if (listener != null) {
			listener.leave();
		}
	}

	private synchronized @Nullable MlflowListener forget(String training) {
		return this.trainings.remove(training);
	}

	/**
	 * Sends a file with the study's run, such as a table of its results.
	 * @param file is kept as it is now, and sent under its name
	 */
	public void artifact(Path file) {
		this.recorder.offerFile(file, file.getFileName().toString());
	}

	/**
	 * Waits until all that was recorded is in the spool, which a kill spares: what a
	 * study notes down after that has been recorded. Does not wait for the server.
	 */
	public void keep() {
		this.recorder.awaitWritten();
	}

	/**
	 * Ends the study's run: it has done what it was to do.
	 */
	public void finish() {
		end(MlflowListener.FINISHED);
	}

	private void end(String status) {
		List<MlflowListener> open;
		synchronized (this) {
			if (this.over) {
				return;
			}
			this.over = true;
			open = new ArrayList<>(this.trainings.values());
			this.trainings.clear();
		}
		open.forEach(MlflowListener::close);
		this.recorder.offer(new End(SpoolEntry.PARENT, System.currentTimeMillis(), status, Map.of()));
		this.recorder.finish();
	}

	/**
	 * Ends what is still followed, and waits a while until the server has all of it; the
	 * rest stays in the spool.
	 */
	@Override
	public void close() {
		end(MlflowListener.KILLED);
		this.atExit.remove();
		this.recorder.close(this.options.closeTimeout());
	}

}

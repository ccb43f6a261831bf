package io.calm.mlflow;

import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * How a training is followed.
 *
 * @param connection to the server; without one, everything stays in the spool
 * @param experiment by name; made if it is not there
 * @param experimentId by id, instead of the name
 * @param run name of the training's run; the server invents one without
 * @param runId of a run that there is already, to go on with
 * @param tags of the runs
 * @param dataset how the text is called
 * @param spool directory of the spool; without one, {@code mlflow-spool} beside the
 * checkpoints
 * @param queue how many records may wait for the spool; what comes when it is full is
 * dropped and counted
 * @param sendEvery how long metrics are gathered before they are sent
 * @param systemMetricsEvery how often processor and memory are looked at; zero for never
 * @param checkpoints which checkpoints are sent as artifacts
 * @param failFast whether the training ends when the server cannot be reached or refuses
 * @param closeTimeout how long {@link MlflowListener#close()} waits for the server
 */
public record MlflowOptions(Optional<MlflowConnection> connection, String experiment, Optional<String> experimentId,
		Optional<String> run, Optional<String> runId, Map<String, String> tags, String dataset, Optional<Path> spool,
		int queue, Duration sendEvery, Duration systemMetricsEvery, Checkpoints checkpoints, boolean failFast,
		Duration closeTimeout) {

	/** Which checkpoints are sent as artifacts. */
	public enum Checkpoints {

		/** Uploads no checkpoints. */
		NONE,
		/** The last one, as {@code checkpoints/last}. */
		LAST,
		/**
		 * The best one of a training with patience, as {@code checkpoints/best}; it has
		 * no state of the optimiser.
		 */
		BEST,
		/** {@link #BEST} and {@link #LAST}. */
		BEST_AND_LAST,
		/** Each, as {@code checkpoints/step-NUMBER}, and {@link #BEST}. */
		ALL;

		boolean best() {
			return this != NONE && this != LAST;
		}

		boolean last() {
			return this == LAST || this == BEST_AND_LAST;
		}

	}

	/** Refuses numbers that are out of range. */
	public MlflowOptions {
		tags = Map.copyOf(tags);
		if (queue < 1) {
			throw new InvalidInputException("MLflow, queue", "is " + queue, "choose at least 1");
		}
		if (sendEvery.isNegative() || systemMetricsEvery.isNegative() || closeTimeout.isNegative()) {
			throw new InvalidInputException("MLflow, times", "one of them is negative", "choose at least 0");
		}
		if (experiment.isBlank() || experiment.length() > 500) {
			throw new InvalidInputException("MLflow, experiment", "its name has " + experiment.length() + " characters",
					"choose 1 to 500");
		}
	}

	/**
	 * Options, beginning with the defaults and the environment.
	 * @param options sets what differs
	 * @return the options
	 * @throws InvalidInputException if one of them cannot be used
	 */
	public static MlflowOptions of(Consumer<Builder> options) {
		return of(System.getenv(), options);
	}

	static MlflowOptions of(Map<String, String> environment, Consumer<Builder> options) {
		Builder builder = new Builder(environment);
		options.accept(builder);
		return builder.build();
	}

	/**
	 * Builds options. What is not set comes from the variables of MLflow's own tools:
	 * those of {@link MlflowConnection}, {@code MLFLOW_EXPERIMENT_NAME},
	 * {@code MLFLOW_EXPERIMENT_ID} and {@code MLFLOW_RUN_ID}. What is empty is not set.
	 */
	public static final class Builder {

		private final MlflowConnection.Builder connection;

		private String experiment;

		private @Nullable String experimentId;

		private @Nullable String run;

		private @Nullable String runId;

		private final Map<String, String> tags = new LinkedHashMap<>();

		private String dataset = "corpus";

		private @Nullable Path spool;

		private int queue = 10_000;

		private Duration sendEvery = Duration.ofSeconds(1);

		private Duration systemMetricsEvery = Duration.ofSeconds(10);

		private Checkpoints checkpoints = Checkpoints.NONE;

		private boolean failFast;

		private Duration closeTimeout = Duration.ofSeconds(10);

		Builder(Map<String, String> environment) {
			this.connection = new MlflowConnection.Builder(environment);
			String name = MlflowConnection.filled(environment.get("MLFLOW_EXPERIMENT_NAME"));
			this.experiment = (name != null) ? name : "Default";
			this.experimentId = MlflowConnection.filled(environment.get("MLFLOW_EXPERIMENT_ID"));
			this.runId = MlflowConnection.filled(environment.get("MLFLOW_RUN_ID"));
		}

		/**
		 * Sets the address of the tracking server.
		 * @param trackingUri such as {@code http://localhost:5000}
		 * @return this
		 */
		public Builder trackingUri(String trackingUri) {
			this.connection.trackingUri(trackingUri);
			return this;
		}

		/**
		 * Address, credentials, TLS and deadline.
		 * @param connection sets them
		 * @return this
		 */
		public Builder connection(Consumer<MlflowConnection.Builder> connection) {
			connection.accept(this.connection);
			return this;
		}

		/**
		 * Sets the experiment by its name.
		 * @param name is made if it is not there; {@code Default} by default
		 * @return this
		 */
		public Builder experiment(String name) {
			if (!name.isBlank()) {
				this.experiment = name;
				this.experimentId = null;
			}
			return this;
		}

		/**
		 * Sets the experiment by its id.
		 * @param id of one that there is
		 * @return this
		 */
		public Builder experimentId(String id) {
			if (!id.isBlank()) {
				this.experimentId = id;
			}
			return this;
		}

		/**
		 * The run of the training, in which those of its phases are nested.
		 * @param name the server invents one by default
		 * @return this
		 */
		public Builder run(String name) {
			this.run = MlflowConnection.filled(name);
			return this;
		}

		/**
		 * Goes on with a run. A training that goes on where it was killed needs no id, if
		 * its spool is still there.
		 * @param id of the training's run, the parent
		 * @return this
		 */
		public Builder runId(String id) {
			if (!id.isBlank()) {
				this.runId = id;
			}
			return this;
		}

		/**
		 * Adds a tag to the runs.
		 * @param name of the tag
		 * @param value of the tag
		 * @return this
		 */
		public Builder tag(String name, String value) {
			this.tags.put(name, value);
			return this;
		}

		/**
		 * How the text is called; neither the text nor its path is logged.
		 * @param name {@code corpus} by default
		 * @return this
		 */
		public Builder dataset(String name) {
			if (!name.isBlank()) {
				this.dataset = name;
			}
			return this;
		}

		/**
		 * Where the spool is.
		 * @param directory one for all trainings; {@code mlflow-spool} beside the
		 * checkpoints by default
		 * @return this
		 */
		public Builder spool(Path directory) {
			this.spool = directory;
			return this;
		}

		/**
		 * How many records may wait for the spool.
		 * @param records 10 000 by default
		 * @return this
		 */
		public Builder queue(int records) {
			this.queue = records;
			return this;
		}

		/**
		 * How long metrics are gathered before they are sent.
		 * @param time 1 s by default
		 * @return this
		 */
		public Builder sendEvery(Duration time) {
			this.sendEvery = time;
			return this;
		}

		/**
		 * How often processor and memory are looked at.
		 * @param time 10 s by default; zero for never
		 * @return this
		 */
		public Builder systemMetricsEvery(Duration time) {
			this.systemMetricsEvery = time;
			return this;
		}

		/**
		 * Which checkpoints are sent as artifacts.
		 * @param checkpoints none by default
		 * @return this
		 */
		public Builder checkpoints(Checkpoints checkpoints) {
			this.checkpoints = checkpoints;
			return this;
		}

		/**
		 * Whether the training ends when the server cannot be reached or refuses.
		 * @param failFast false by default
		 * @return this
		 */
		public Builder failFast(boolean failFast) {
			this.failFast = failFast;
			return this;
		}

		/**
		 * How long closing waits for the server.
		 * @param time 10 s by default
		 * @return this
		 */
		public Builder closeTimeout(Duration time) {
			this.closeTimeout = time;
			return this;
		}

		private MlflowOptions build() {
			return new MlflowOptions(this.connection.build(), this.experiment, Optional.ofNullable(this.experimentId),
					Optional.ofNullable(this.run), Optional.ofNullable(this.runId), this.tags, this.dataset,
					Optional.ofNullable(this.spool), this.queue, this.sendEvery, this.systemMetricsEvery,
					this.checkpoints, this.failFast, this.closeTimeout);
		}

	}

}

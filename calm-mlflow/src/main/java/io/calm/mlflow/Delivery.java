package io.calm.mlflow;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

import io.calm.mlflow.SpoolEntry.Artifact;
import io.calm.mlflow.SpoolEntry.End;
import io.calm.mlflow.SpoolEntry.Metrics;
import io.calm.mlflow.SpoolEntry.Start;
import io.calm.mlflow.SpoolEntry.Text;
import io.calm.mlflow.SpoolEntry.Training;
import org.jspecify.annotations.Nullable;
import org.mlflow.api.proto.Service.CreateRun;
import org.mlflow.api.proto.Service.DeleteRun;
import org.mlflow.api.proto.Service.GetRun;
import org.mlflow.api.proto.Service.LogBatch;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.Param;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.api.proto.Service.RunTag;
import org.mlflow.api.proto.Service.SearchRuns;
import org.mlflow.api.proto.Service.UpdateRun;
import org.mlflow.tracking.utils.MlflowTagConstants;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends the entries of one spool. Everything may be sent again, and is when it is not
 * known whether it has arrived: what is there already is not added twice.
 */
final class Delivery {

	/** The tag by which the run of a training or study is found again. */
	static final String TRAINING_TAG = "calm.training";

	/** The tag by which the run of a phase is found again, below its parent. */
	static final String PHASE_TAG = "calm.phase";

	private static final int MOST_TWINS = 20;

	/** A request has at most 1 MB; each of these may become three bytes. */
	private static final int MOST_CHARACTERS = 300_000;

	private static final Logger LOG = LoggerFactory.getLogger(Delivery.class);

	private final MlflowApi api;

	private final Path files;

	private final Map<String, OpenRun> runs = new HashMap<>();

	/** Those whose making got no answer: the server may have made them all the same. */
	private final Set<String> doubtful = new HashSet<>();

	private @Nullable Training training;

	private @Nullable String experimentId;

	private long delivered;

	private long known;

	private long refused;

	private boolean refusalTold;

	/**
	 * A run on the server.
	 *
	 * @param lastSteps of its metrics
	 */
	private record OpenRun(String id, String artifacts, Map<String, Long> lastSteps, Map<String, String> params) {
	}

	Delivery(MlflowApi api, Path files) {
		this.api = api;
		this.files = files;
	}

	/** Points the server has accepted. */
	long delivered() {
		return this.delivered;
	}

	/** Points the server had already. */
	long known() {
		return this.known;
	}

	/** Points and other entries the server will never accept. */
	long refused() {
		return this.refused;
	}

	/** The run of the training, once it is known. */
	@Nullable String runId() {
		OpenRun run = this.runs.get(SpoolEntry.PARENT);
		return (run != null) ? run.id() : null;
	}

	/**
	 * Sends entries in their order.
	 * @throws MlflowException if that has to be tried again
	 */
	void send(List<SpoolEntry> entries) {
		List<Metrics> metrics = new ArrayList<>();
		try {
			for (SpoolEntry entry : entries) {
				if (entry instanceof Metrics step) {
					metrics.add(step);
				}
				else {
					sendMetrics(metrics);
					metrics.clear();
					sendOne(entry);
				}
			}
			sendMetrics(metrics);
		}
		catch (MlflowException ex) {
			if (ex.status() == MlflowException.NOT_FOUND) {
				// somebody has deleted it, or the server begins anew
				this.runs.clear();
				this.experimentId = null;
			}
			throw ex;
		}
	}

	private void sendOne(SpoolEntry entry) {
		try {
			if (entry instanceof Training begun) {
				begin(begun);
			}
			else if (entry instanceof Start start) {
				start(start);
			}
			else if (entry instanceof Text text) {
				this.api.store(run(text.run(), text.time()).artifacts()).upload(text.path(), text.text());
			}
			else if (entry instanceof Artifact artifact) {
				upload(artifact);
			}
			else if (entry instanceof End end) {
				end(end);
			}
		}
		catch (MlflowException ex) {
			refuse(ex, 1);
		}
	}

	/** Goes on with the next if the server has refused this one for good. */
	private void refuse(MlflowException ex, int count) {
		if (!ex.refused()) {
			throw ex;
		}
		this.refused += count;
		if (!this.refusalTold) {
			this.refusalTold = true;
			LOG.warn("MLflow at {} {}; what it refuses stays in the spool, the rest is sent",
					this.api.connection().trackingUri(), ex.getMessage());
		}
	}

	private void begin(Training begun) {
		if (begun.version() > SpoolEntry.VERSION) {
			throw new IllegalStateException("the spool was written by a newer version of calm-mlflow");
		}
		this.training = begun;
		run(SpoolEntry.PARENT, begun.time());
	}

	private void start(Start start) {
		OpenRun run = run(start.run(), start.time());
		for (String name = start.run();; name = SpoolEntry.parentOf(name)) {
			this.api.post("runs/update",
					UpdateRun.newBuilder().setRunId(run(name, start.time()).id()).setStatus(RunStatus.RUNNING),
					UpdateRun.Response.newBuilder());
			if (name.equals(SpoolEntry.PARENT)) {
				break;
			}
		}
		Map<String, String> params = new LinkedHashMap<>();
		Map<String, String> changes = new LinkedHashMap<>();
		start.params().forEach((name, value) -> {
			String key = key(name);
			String text = MlflowApi.shortened(value, MlflowApi.LONGEST_PARAM);
			String there = run.params().get(key);
			if (there == null) {
				params.put(key, text);
			}
			else if (!there.equals(text)) {
				changes.put("calm.changed." + key, text);
			}
		});
		for (List<Map.Entry<String, String>> some : chunks(params)) {
			LogBatch.Builder batch = LogBatch.newBuilder().setRunId(run.id());
			some.forEach(
					(param) -> batch.addParams(Param.newBuilder().setKey(param.getKey()).setValue(param.getValue())));
			this.api.post("runs/log-batch", batch, LogBatch.Response.newBuilder());
		}
		run.params().putAll(params);
		setTags(run.id(), changes);
		if (!start.digest().isEmpty()) {
			this.api.logDataset(run.id(), start.dataset(), start.digest(), "training");
		}
	}

	private void end(End end) {
		OpenRun run = run(end.run(), end.time());
		setTags(run.id(), end.tags());
		this.api.post("runs/update",
				UpdateRun.newBuilder()
					.setRunId(run.id())
					.setStatus(RunStatus.valueOf(end.status()))
					.setEndTime(end.time()),
				UpdateRun.Response.newBuilder());
		if (this.training != null) {
			deleteTwins(this.training, end.run(), run);
		}
	}

	private void setTags(String runId, Map<String, String> tags) {
		for (List<Map.Entry<String, String>> some : chunks(tags)) {
			LogBatch.Builder batch = LogBatch.newBuilder().setRunId(runId);
			some.forEach((tag) -> batch.addTags(tag(tag.getKey(), tag.getValue())));
			this.api.post("runs/log-batch", batch, LogBatch.Response.newBuilder());
		}
	}

	private void upload(Artifact artifact) {
		Path root = this.files.resolve(artifact.file()).normalize();
		// of an artifact that was sent before, or whose successor was, nothing is left
		if (!root.startsWith(this.files) || !Files.exists(root)) {
			return;
		}
		ArtifactStore store = this.api.store(run(artifact.run(), artifact.time()).artifacts());
		try {
			List<Path> paths;
			try (Stream<Path> walk = Files.walk(root)) {
				paths = walk.filter(Files::isRegularFile).sorted().toList();
			}
			for (Path path : paths) {
				String below = root.relativize(path).toString().replace('\\', '/');
				store.upload(below.isEmpty() ? artifact.path() : artifact.path() + "/" + below, path);
			}
			SpoolFile.deleteAll(root);
		}
		catch (NoSuchFileException | UncheckedIOException ex) {
			// a newer checkpoint has taken its place, and comes next
			LOG.debug("Artifact {} is gone", root);
		}
		catch (IOException ex) {
			LOG.warn("Cannot read {} for MLflow: {}", root, ex.toString());
			this.refused++;
		}
	}

	private void sendMetrics(List<Metrics> steps) {
		String name = null;
		List<Metric> batch = new ArrayList<>();
		Map<String, Long> sent = new HashMap<>();
		for (Metrics step : steps) {
			if (name != null && !name.equals(step.run())) {
				sendBatch(name, batch, sent);
			}
			name = step.run();
			for (Map.Entry<String, Double> value : step.values().entrySet()) {
				if (batch.size() == MlflowApi.MOST_METRICS) {
					sendBatch(name, batch, sent);
				}
				String key = key(value.getKey());
				Long last = sent.getOrDefault(key, run(name, step.time()).lastSteps().get(key));
				if (last != null && step.step() <= last) {
					this.known++;
				}
				else {
					sent.put(key, step.step());
					batch.add(Metric.newBuilder()
						.setKey(key)
						.setValue(value.getValue())
						.setTimestamp(step.time())
						.setStep(step.step())
						.build());
				}
			}
		}
		if (name != null) {
			sendBatch(name, batch, sent);
		}
	}

	private void sendBatch(String name, List<Metric> batch, Map<String, Long> sent) {
		if (batch.isEmpty()) {
			return;
		}
		OpenRun run = run(name, batch.get(0).getTimestamp());
		try {
			this.api.post("runs/log-batch", LogBatch.newBuilder().setRunId(run.id()).addAllMetrics(batch),
					LogBatch.Response.newBuilder());
			this.delivered += batch.size();
		}
		catch (MlflowException ex) {
			// whether the points are there is unknown: ask before they are sent again
			this.runs.remove(name);
			refuse(ex, batch.size());
		}
		run.lastSteps().putAll(sent);
		batch.clear();
		sent.clear();
	}

	/** The run of that name in the spool; found or made. */
	private OpenRun run(String name, long time) {
		OpenRun open = this.runs.get(name);
		if (open == null) {
			open = open(name, time);
			this.runs.put(name, open);
		}
		return open;
	}

	private OpenRun open(String name, long time) {
		Training begun = this.training;
		if (begun == null) {
			throw new IllegalStateException("the spool does not begin with a training");
		}
		if (name.equals(SpoolEntry.PARENT)) {
			if (begun.runId() != null) {
				Run run = read(begun.runId());
				this.api.checkNotDeleted("run " + begun.runId(), run.getInfo().getLifecycleStage());
				this.experimentId = run.getInfo().getExperimentId();
				return opened(run);
			}
		}
		String parent = parent(begun, name);
		// of two that lost answers have made, the one that has something
		Optional<Run> found = find(begun, name, parent).stream()
			.max(Comparator.comparing((run) -> run.getData().getMetricsCount()));
		return opened(found.orElseGet(() -> create(begun, name, time, parent)));
	}

	private @Nullable String parent(Training begun, String name) {
		return name.equals(SpoolEntry.PARENT) ? null : run(SpoolEntry.parentOf(name), begun.time()).id();
	}

	/** By which it is found again. */
	private static RunTag mark(Training begun, String name) {
		if (name.equals(SpoolEntry.PARENT)) {
			return tag(TRAINING_TAG, begun.key());
		}
		// a quote would end what is searched for
		String last = SpoolEntry.lastName(name).replace("'", "");
		return name.endsWith(SpoolEntry.BELOW) ? tag(TRAINING_TAG, begun.key() + SpoolEntry.BELOW + last)
				: tag(PHASE_TAG, last);
	}

	private List<Run> find(Training begun, String name, @Nullable String parent) {
		RunTag mark = mark(begun, name);
		String filter = "tags.`" + mark.getKey() + "` = '" + mark.getValue() + "'";
		if (parent != null) {
			filter += " and tags.`" + MlflowTagConstants.PARENT_RUN_ID + "` = '" + parent + "'";
		}
		return this.api
			.post("runs/search",
					SearchRuns.newBuilder().addExperimentIds(experiment()).setFilter(filter).setMaxResults(MOST_TWINS),
					SearchRuns.Response.newBuilder())
			.getRunsList();
	}

	/**
	 * A server that is slow may make a run after the call was given up and another one
	 * was made: it has nothing, and goes.
	 */
	private void deleteTwins(Training begun, String name, OpenRun kept) {
		if (!this.doubtful.contains(name)) {
			return;
		}
		for (Run twin : find(begun, name, parent(begun, name))) {
			if (!twin.getInfo().getRunId().equals(kept.id()) && twin.getData().getMetricsCount() == 0) {
				this.api.post("runs/delete", DeleteRun.newBuilder().setRunId(twin.getInfo().getRunId()),
						DeleteRun.Response.newBuilder());
			}
		}
		this.doubtful.remove(name);
	}

	private String experiment() {
		Training begun = this.training;
		if (this.experimentId == null && begun != null) {
			if (begun.runId() != null) {
				this.experimentId = read(begun.runId()).getInfo().getExperimentId();
			}
			else {
				this.experimentId = this.api.experiment(begun.experimentId(), begun.experiment());
			}
		}
		return String.valueOf(this.experimentId);
	}

	private Run read(String runId) {
		return this.api.get("runs/get", Map.of("run_id", runId), GetRun.Response.newBuilder()).getRun();
	}

	private static OpenRun opened(Run run) {
		Map<String, Long> lastSteps = new HashMap<>();
		run.getData().getMetricsList().forEach((metric) -> lastSteps.put(metric.getKey(), metric.getStep()));
		Map<String, String> params = new HashMap<>();
		run.getData().getParamsList().forEach((param) -> params.put(param.getKey(), param.getValue()));
		return new OpenRun(run.getInfo().getRunId(), run.getInfo().getArtifactUri(), lastSteps, params);
	}

	private Run create(Training begun, String name, long time, @Nullable String parent) {
		CreateRun.Builder create = CreateRun.newBuilder().setExperimentId(experiment()).setStartTime(time);
		String user = begun.tags().get(MlflowTagConstants.USER);
		if (user != null) {
			create.setUserId(user);
		}
		begun.tags().forEach((key, value) -> create.addTags(tag(key, value)));
		create.addTags(mark(begun, name));
		if (parent != null) {
			create.addTags(tag(MlflowTagConstants.PARENT_RUN_ID, parent)).setRunName(SpoolEntry.lastName(name));
		}
		else if (begun.name() != null) {
			create.setRunName(begun.name());
		}
		try {
			return this.api.post("runs/create", create, CreateRun.Response.newBuilder()).getRun();
		}
		catch (MlflowException ex) {
			this.doubtful.add(name);
			throw ex;
		}
	}

	private static RunTag tag(String name, String value) {
		return RunTag.newBuilder()
			.setKey(key(name))
			.setValue(MlflowApi.shortened(value, MlflowApi.LONGEST_TAG))
			.build();
	}

	/** As many as a request may hold. */
	private static List<List<Map.Entry<String, String>>> chunks(Map<String, String> pairs) {
		List<List<Map.Entry<String, String>>> chunks = new ArrayList<>();
		List<Map.Entry<String, String>> chunk = new ArrayList<>();
		int characters = 0;
		for (Map.Entry<String, String> pair : pairs.entrySet()) {
			int more = pair.getKey().length() + pair.getValue().length();
			if (!chunk.isEmpty() && (chunk.size() == MlflowApi.MOST_PAIRS || characters + more > MOST_CHARACTERS)) {
				chunks.add(chunk);
				chunk = new ArrayList<>();
				characters = 0;
			}
			chunk.add(pair);
			characters += more;
		}
		if (!chunk.isEmpty()) {
			chunks.add(chunk);
		}
		return chunks;
	}

	/** A name as the server takes it: it must also be a path that leads nowhere else. */
	static String key(String name) {
		StringBuilder key = new StringBuilder();
		for (String part : name.replaceAll("[^/\\w.\\- ]", "_").split("/")) {
			if (!part.isEmpty()) {
				key.append(key.isEmpty() ? "" : "/").append(part.matches("\\.+") ? "_" : part);
			}
		}
		return key.isEmpty() ? "_" : MlflowApi.shortened(key.toString(), MlflowApi.LONGEST_KEY);
	}

}

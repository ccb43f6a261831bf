package io.calm.mlflow;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.Param;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunTag;
import org.mlflow.tracking.MlflowClient;

import static org.assertj.core.api.Assertions.assertThat;

/** What a server knows, read by MLflow's own Java client. */
record Tracked(MlflowClient client, String experimentId) {

	static Tracked of(String uri, String experiment) {
		return of(new MlflowClient(uri), experiment);
	}

	static Tracked of(MlflowClient client, String experiment) {
		return new Tracked(client, client.getExperimentByName(experiment).orElseThrow().getExperimentId());
	}

	/** Of the training, without its phases; there must be one. */
	Run training() {
		List<Run> parents = runs().stream().filter((run) -> !tags(run).containsKey("mlflow.parentRunId")).toList();
		assertThat(parents).hasSize(1);
		return parents.get(0);
	}

	/** Of a phase of the training; there must be one. */
	Run phase(String phase) {
		List<Run> found = runs().stream().filter((run) -> phase.equals(tags(run).get("calm.phase"))).toList();
		assertThat(found).hasSize(1);
		assertThat(tags(found.get(0))).containsEntry("mlflow.parentRunId", training().getInfo().getRunId());
		return found.get(0);
	}

	List<Run> runs() {
		return this.client.searchRuns(List.of(this.experimentId), "")
			.stream()
			.map((info) -> this.client.getRun(info.getRunId()))
			.toList();
	}

	static Map<String, String> tags(Run run) {
		return run.getData().getTagsList().stream().collect(Collectors.toMap(RunTag::getKey, RunTag::getValue));
	}

	static Map<String, String> params(Run run) {
		return run.getData().getParamsList().stream().collect(Collectors.toMap(Param::getKey, Param::getValue));
	}

	/** The values of a metric by step; fails if a step has two. */
	Map<Long, Double> curve(Run run, String metric) {
		return this.client.getMetricHistory(run.getInfo().getRunId(), metric)
			.stream()
			.collect(Collectors.toMap(Metric::getStep, Metric::getValue, (one, other) -> {
				throw new AssertionError("a step of " + metric + " has two values");
			}, TreeMap::new));
	}

	/** The losses of a fake training, each of its steps once. */
	void assertLosses(String phase, long steps) {
		Map<Long, Double> expected = new TreeMap<>();
		for (long step = 1; step <= steps; step++) {
			expected.put(step, FakeTraining.loss(step));
		}
		assertThat(curve(phase(phase), "loss")).isEqualTo(expected);
	}

}

package io.calm.mlflow;

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.training.Phase;
import org.mlflow.api.proto.Service.Param;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunTag;
import org.mlflow.tracking.MlflowClient;
import org.mlflow.tracking.creds.BasicMlflowHostCreds;

import static org.assertj.core.api.Assertions.assertThat;

/** What a server knows, read by MLflow's own Java client. */
record Tracked(String uri, MlflowClient client, Optional<String> authorization, String experimentId) {

	static Tracked of(String uri, String experiment) {
		return of(uri, new MlflowClient(uri), Optional.empty(), experiment);
	}

	static Tracked of(String uri, String user, String password, String experiment) {
		byte[] credentials = (user + ":" + password).getBytes(StandardCharsets.UTF_8);
		return of(uri, new MlflowClient(new BasicMlflowHostCreds(uri, user, password)),
				Optional.of("Basic " + Base64.getEncoder().encodeToString(credentials)), experiment);
	}

	private static Tracked of(String uri, MlflowClient client, Optional<String> authorization, String experiment) {
		return new Tracked(uri, client, authorization,
				client.getExperimentByName(experiment).orElseThrow().getExperimentId());
	}

	/** Of the training, without its phases; there must be one. */
	Run training() {
		List<Run> parents = runs().stream().filter((run) -> !tags(run).containsKey("mlflow.parentRunId")).toList();
		assertThat(parents).hasSize(1);
		return parents.get(0);
	}

	/** Of a phase of the training; there must be one. */
	Run phase(Phase phase) {
		List<Run> found = runs().stream()
			.filter((run) -> phase.toString().equals(tags(run).get("calm.phase")))
			.toList();
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

	/**
	 * The values of a metric by step; fails if a step has two. MLflow's Java client
	 * refuses a metric of more than one page.
	 */
	Map<Long, Double> curve(Run run, String metric) {
		Map<Long, Double> curve = new TreeMap<>();
		String page = "";
		do {
			JsonObject answer = rest(
					"metrics/get-history?run_id=" + run.getInfo().getRunId() + "&metric_key=" + encoded(metric) + page);
			JsonElement points = answer.get("metrics");
			for (JsonElement each : (points != null) ? points.getAsJsonArray() : new JsonArray()) {
				JsonObject point = each.getAsJsonObject();
				assertThat(curve.put(point.get("step").getAsLong(), point.get("value").getAsDouble()))
					.as("another value of %s at a step", metric)
					.isNull();
			}
			JsonElement next = answer.get("next_page_token");
			page = (next != null && !next.getAsString().isEmpty()) ? "&page_token=" + encoded(next.getAsString()) : "";
		}
		while (!page.isEmpty());
		return curve;
	}

	private static String encoded(String value) {
		return URLEncoder.encode(value, StandardCharsets.UTF_8);
	}

	/** What MLflow's Java client does not read. */
	JsonObject rest(String endpoint) {
		return JsonParser.parseString(new String(get("/api/2.0/mlflow/" + endpoint), StandardCharsets.UTF_8))
			.getAsJsonObject();
	}

	/** The files of a run, by path. */
	Map<String, byte[]> artifacts(Run run) {
		Map<String, byte[]> artifacts = new TreeMap<>();
		addArtifacts(run.getInfo().getRunId(), "", artifacts);
		return artifacts;
	}

	private void addArtifacts(String runId, String directory, Map<String, byte[]> artifacts) {
		JsonElement files = rest("artifacts/list?run_id=" + runId + "&path=" + directory).get("files");
		if (files == null) {
			return;
		}
		for (JsonElement each : files.getAsJsonArray()) {
			JsonObject file = each.getAsJsonObject();
			String path = file.get("path").getAsString();
			if (file.get("is_dir").getAsBoolean()) {
				addArtifacts(runId, path, artifacts);
			}
			else {
				artifacts.put(path, get("/get-artifact?run_uuid=" + runId + "&path=" + path));
			}
		}
	}

	private byte[] get(String path) {
		try {
			HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(this.uri + path));
			this.authorization.ifPresent((credentials) -> request.header("Authorization", credentials));
			HttpResponse<byte[]> answer = HttpClient.newHttpClient().send(request.build(), BodyHandlers.ofByteArray());
			assertThat(answer.statusCode()).as(path).isEqualTo(200);
			return answer.body();
		}
		catch (IOException | InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/** The losses of a fake training, each of its steps once. */
	void assertLosses(Phase phase, long steps) {
		Map<Long, Double> expected = new TreeMap<>();
		for (long step = 1; step <= steps; step++) {
			expected.put(step, FakeTraining.loss(step));
		}
		assertThat(curve(phase(phase), "loss")).isEqualTo(expected);
	}

}

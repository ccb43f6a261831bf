package io.calm.mlflow;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;

import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;

/**
 * A trace that a server has received, as its page shows it.
 *
 * @param info its state, the previews of request and response, its tokens
 * @param spans whose attributes are JSON once more
 */
public record ReceivedTrace(JsonObject info, List<JsonObject> spans) {

	private static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

	/** All traces of an experiment, the newest first. */
	public static List<ReceivedTrace> of(URI server, String experimentId) {
		String body = "{\"locations\":[{\"type\":\"MLFLOW_EXPERIMENT\",\"mlflow_experiment\":{\"experiment_id\":\""
				+ experimentId + "\"}}]}";
		JsonObject found = json(HttpRequest.newBuilder(URI.create(server + "/api/3.0/mlflow/traces/search"))
			.header("Content-Type", "application/json")
			.POST(HttpRequest.BodyPublishers.ofString(body)));
		List<ReceivedTrace> traces = new ArrayList<>();
		if (found.has("traces")) {
			for (JsonElement info : found.getAsJsonArray("traces")) {
				String id = info.getAsJsonObject().get("trace_id").getAsString();
				JsonObject data = json(HttpRequest
					.newBuilder(URI.create(server + "/ajax-api/2.0/mlflow/get-trace-artifact?request_id=" + id)));
				List<JsonObject> spans = new ArrayList<>();
				data.getAsJsonArray("spans").forEach((span) -> spans.add(span.getAsJsonObject()));
				traces.add(new ReceivedTrace(info.getAsJsonObject(), spans));
			}
		}
		return traces;
	}

	/** What a span says under a name, or JSON's null. */
	public static JsonElement attribute(JsonObject span, String name) {
		JsonElement value = span.getAsJsonObject("attributes").get(name);
		return (value != null) ? JsonParser.parseString(value.getAsString()) : JsonNull.INSTANCE;
	}

	private static JsonObject json(HttpRequest.Builder request) {
		try {
			String body = HTTP.send(request.build(), BodyHandlers.ofString()).body();
			return JsonParser.parseString(body).getAsJsonObject();
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		catch (InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

}

package io.calm.mlflow;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;

/**
 * Answers like an MLflow server that knows one experiment, keeps runs, artifacts and
 * model versions in memory, and does as a test wants where {@link #special} answers.
 */
final class StubServer implements AutoCloseable {

	private static final String ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/";

	/**
	 * A call.
	 *
	 * @param what its method and the end of its path, such as {@code POST runs/create}
	 * @param authorization what it brought along
	 */
	record Call(String what, String path, String query, String body, Optional<String> authorization) {
	}

	/** An answer. */
	record Answer(int status, String body, Map<String, String> headers) {

		static Answer of(int status, String body) {
			return new Answer(status, body, Map.of());
		}

		static Answer redirect(int status, String location) {
			return new Answer(status, "", Map.of("Location", location));
		}

	}

	private final HttpServer server;

	private final ExecutorService threads = Executors.newCachedThreadPool();

	private final List<Call> calls = new CopyOnWriteArrayList<>();

	/** By id. */
	final Map<String, JsonObject> runs = new ConcurrentHashMap<>();

	final Map<String, byte[]> artifacts = new ConcurrentHashMap<>();

	private final List<JsonObject> versions = new CopyOnWriteArrayList<>();

	/** Goes first. */
	volatile Function<Call, Optional<Answer>> special = (call) -> Optional.empty();

	StubServer() throws IOException {
		this.server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
		this.server.setExecutor(this.threads);
		this.server.createContext("/", this::handle);
		this.server.start();
	}

	String uri() {
		return "http://127.0.0.1:" + this.server.getAddress().getPort();
	}

	List<Call> calls() {
		return this.calls;
	}

	long calls(String what) {
		return this.calls.stream().filter((call) -> call.what().equals(what)).count();
	}

	private void handle(HttpExchange exchange) throws IOException {
		try (exchange) {
			byte[] body = exchange.getRequestBody().readAllBytes();
			String path = exchange.getRequestURI().getPath();
			String query = String.valueOf(exchange.getRequestURI().getQuery());
			String what = exchange.getRequestMethod() + " " + path.replaceFirst(".*/api/2.0/mlflow/", "");
			Call call = new Call(what, path, query, new String(body, StandardCharsets.UTF_8),
					Optional.ofNullable(exchange.getRequestHeaders().getFirst("Authorization")));
			this.calls.add(call);
			Optional<Answer> wanted = this.special.apply(call);
			if (wanted.isPresent()) {
				wanted.get().headers().forEach(exchange.getResponseHeaders()::set);
				write(exchange, wanted.get().status(), wanted.get().body().getBytes(StandardCharsets.UTF_8));
			}
			else if (path.startsWith(ARTIFACTS)) {
				String name = path.substring(ARTIFACTS.length());
				if (exchange.getRequestMethod().equals("PUT")) {
					this.artifacts.put(name, body);
					write(exchange, 200, new byte[0]);
				}
				else {
					byte[] content = this.artifacts.get(name);
					write(exchange, (content != null) ? 200 : 404, (content != null) ? content : new byte[0]);
				}
			}
			else {
				JsonObject json = call.body().isEmpty() ? new JsonObject()
						: JsonParser.parseString(call.body()).getAsJsonObject();
				write(exchange, 200, answer(call, json).getBytes(StandardCharsets.UTF_8));
			}
		}
	}

	private static void write(HttpExchange exchange, int status, byte[] body) throws IOException {
		exchange.sendResponseHeaders(status, (body.length > 0) ? body.length : -1);
		if (body.length > 0) {
			exchange.getResponseBody().write(body);
		}
	}

	private String answer(Call call, JsonObject json) {
		return switch (call.what()) {
			case "GET experiments/get-by-name", "GET experiments/get" ->
				"{\"experiment\":{\"experiment_id\":\"7\",\"name\":\"stories\",\"lifecycle_stage\":\"active\"}}";
			case "POST runs/create" -> created(json);
			case "POST runs/search" -> found(json.get("filter").getAsString());
			case "POST runs/delete" -> {
				this.runs.remove(json.get("run_id").getAsString());
				yield "{}";
			}
			case "GET runs/get" -> {
				String id = call.query().replaceFirst(".*run_id=([^&]*).*", "$1");
				yield "{\"run\":" + this.runs.get(id) + "}";
			}
			case "POST model-versions/create" -> {
				JsonObject version = json.deepCopy();
				version.addProperty("version", String.valueOf(this.versions.size() + 1));
				this.versions.add(version);
				yield "{\"model_version\":" + version + "}";
			}
			case "GET model-versions/get" -> {
				int number = Integer.parseInt(call.query().replaceFirst(".*version=(\\d+).*", "$1"));
				yield "{\"model_version\":" + this.versions.get(number - 1) + "}";
			}
			default -> "{}";
		};
	}

	/** A version of the model. */
	JsonObject version(int number) {
		return this.versions.get(number - 1);
	}

	/** Makes a run as the server does. */
	String created(JsonObject json) {
		String id = "run" + (this.runs.size() + 1);
		JsonObject info = new JsonObject();
		info.addProperty("run_id", id);
		info.addProperty("experiment_id", "7");
		info.addProperty("artifact_uri", "mlflow-artifacts:/7/" + id + "/artifacts");
		info.addProperty("lifecycle_stage", "active");
		JsonObject data = new JsonObject();
		data.add("tags", json.has("tags") ? json.get("tags") : new JsonArray());
		JsonObject run = new JsonObject();
		run.add("info", info);
		run.add("data", data);
		this.runs.put(id, run);
		return "{\"run\":" + run + "}";
	}

	/** The runs that have all tags of the filter. */
	private String found(String filter) {
		JsonArray found = new JsonArray();
		this.runs.values().stream().filter((run) -> {
			for (String each : filter.split(" and ")) {
				String tag = each.replaceFirst("tags.`(.*)` = '(.*)'", "$1=$2");
				boolean has = false;
				for (JsonElement one : run.getAsJsonObject("data").getAsJsonArray("tags")) {
					JsonObject pair = one.getAsJsonObject();
					has |= tag.equals(pair.get("key").getAsString() + "=" + pair.get("value").getAsString());
				}
				if (!has) {
					return false;
				}
			}
			return true;
		}).forEach(found::add);
		return "{\"runs\":" + found + "}";
	}

	@Override
	public void close() {
		this.server.stop(0);
		this.threads.shutdownNow();
	}

}

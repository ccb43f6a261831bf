package io.calm.fuzz;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.calm.mlflow.MlflowConnection;
import io.calm.mlflow.MlflowReplay;

/** Sends spools to a server that takes everything. */
final class Spools implements Target {

	private static final List<String> LINES = """
			{"type":"training","version":1,"key":"abc","time":1790000000000,"experiment":"stories","name":"a","tags":{"a":"b"}}
			{"type":"start","run":"autoencoder","time":1790000000001,"directory":"/x","params":{"seed":"1"},"dataset":"corpus","digest":"abc"}
			{"type":"metrics","run":"autoencoder","time":1790000000002,"step":1,"values":{"loss":5.5,"nan":"NaN","rate":1.0E-4}}
			{"type":"text","run":"autoencoder","time":1790000000003,"path":"samples/step-1.txt","text":"One day"}
			{"type":"artifact","run":"autoencoder","time":1790000000004,"file":"last","path":"checkpoints/last"}
			{"type":"metrics","run":"autoencoder","time":1790000000005,"step":2,"values":{"loss":4.5}}
			{"type":"end","run":"autoencoder","time":1790000000006,"status":"FINISHED","tags":{}}
			{"type":"end","run":"","time":1790000000007,"status":"FAILED","tags":{"calm.error":"why"}}
			"""
		.lines()
		.toList();

	private static final Map<String, String> ANSWERS = Map.of("experiments",
			"{\"experiment\":{\"experiment_id\":\"7\",\"name\":\"stories\",\"lifecycle_stage\":\"active\"}}", "search",
			"{\"runs\":[]}", "create",
			"{\"run\":{\"info\":{\"run_id\":\"r\",\"experiment_id\":\"7\",\"lifecycle_stage\":\"active\","
					+ "\"artifact_uri\":\"mlflow-artifacts:/7/r/artifacts\"},\"data\":{\"tags\":[]}}}",
			"runs/get", "{\"run\":{\"info\":{\"run_id\":\"r\",\"experiment_id\":\"7\",\"lifecycle_stage\":\"active\","
					+ "\"artifact_uri\":\"mlflow-artifacts:/7/r/artifacts\"},\"data\":{\"tags\":[]}}}");

	private final MlflowConnection connection;

	Spools() throws IOException {
		HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
		server.setExecutor(Executors.newCachedThreadPool((task) -> {
			Thread thread = new Thread(task);
			thread.setDaemon(true);
			return thread;
		}));
		server.createContext("/", Spools::answer);
		server.start();
		this.connection = MlflowConnection.to("http://127.0.0.1:" + server.getAddress().getPort());
	}

	private static void answer(HttpExchange exchange) throws IOException {
		try (exchange) {
			exchange.getRequestBody().readAllBytes();
			String path = exchange.getRequestURI().getPath();
			byte[] answer = ANSWERS.entrySet()
				.stream()
				.filter((each) -> path.contains(each.getKey()))
				.map(Map.Entry::getValue)
				.findFirst()
				.orElse("{}")
				.getBytes(StandardCharsets.UTF_8);
			exchange.sendResponseHeaders(200, answer.length);
			exchange.getResponseBody().write(answer);
		}
	}

	@Override
	public boolean run(Mutator mutator, Path directory) throws IOException {
		StringBuilder spool = new StringBuilder();
		for (String line : LINES) {
			boolean broken = mutator.percent(line.contains("training") ? 10 : 30);
			spool.append(broken
					? new String(mutator.json(line.getBytes(StandardCharsets.UTF_8)), StandardCharsets.UTF_8) : line);
			spool.append(mutator.percent(97) ? "\n" : "");
		}
		byte[] content = spool.toString().getBytes(StandardCharsets.UTF_8);
		Files.write(directory.resolve("20260921T000000.000Z-abc.jsonl"),
				mutator.percent(30) ? mutator.blind(content) : content);
		Path file = Files.createDirectory(directory.resolve("20260921T000000.000Z-abc.files")).resolve("last");
		if (mutator.percent(70)) {
			Files.writeString(file, "artifact");
		}
		MlflowReplay.send(directory, this.connection);
		return true;
	}

}

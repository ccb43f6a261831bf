package io.calm.mlflow;

import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import org.jspecify.annotations.Nullable;
import org.mlflow.api.proto.Service.CreateExperiment;
import org.mlflow.api.proto.Service.Dataset;
import org.mlflow.api.proto.Service.DatasetInput;
import org.mlflow.api.proto.Service.Experiment;
import org.mlflow.api.proto.Service.FileInfo;
import org.mlflow.api.proto.Service.GetExperiment;
import org.mlflow.api.proto.Service.GetExperimentByName;
import org.mlflow.api.proto.Service.InputTag;
import org.mlflow.api.proto.Service.ListArtifacts;
import org.mlflow.api.proto.Service.LogInputs;
import org.mlflow_project.google.protobuf.InvalidProtocolBufferException;
import org.mlflow_project.google.protobuf.Message;
import org.mlflow_project.google.protobuf.MessageOrBuilder;
import org.mlflow_project.google.protobuf.util.JsonFormat;

/**
 * Calls with a deadline. The messages are those of MLflow's Java client; the way they
 * travel is the JDK's, because that client waits for ever for a silent server and repeats
 * at once whatever failed, the creation of a run included.
 */
final class MlflowApi {

	private static final String API = "/api/2.0/mlflow/";

	/** A server may ask for more, but nobody waits for days. */
	private static final Duration LONGEST_WAIT = Duration.ofMinutes(1);

	/** Of an error message that is a web page or the like. */
	private static final int LONGEST_MESSAGE = 300;

	private static final int LONGEST_DIGEST = 36;

	/** The server's limits. */
	static final int MOST_METRICS = 1000;

	static final int MOST_PAIRS = 100;

	static final int LONGEST_PARAM = 6000;

	static final int LONGEST_TAG = 8000;

	static final int LONGEST_KEY = 250;

	private static final JsonFormat.Printer PRINTER = JsonFormat.printer()
		.preservingProtoFieldNames()
		.omittingInsignificantWhitespace();

	private static final JsonFormat.Parser PARSER = JsonFormat.parser().ignoringUnknownFields();

	private final MlflowConnection connection;

	private final HttpClient client;

	private final ArtifactStores stores = new ArtifactStores(this);

	MlflowApi(MlflowConnection connection) {
		this.connection = connection;
		HttpClient.Builder builder = HttpClient.newBuilder()
			// the server knows no other, and logs a warning when it is offered one
			.version(HttpClient.Version.HTTP_1_1)
			// would take the credentials along to whatever host, and make a GET of a POST
			.followRedirects(HttpClient.Redirect.NEVER)
			.connectTimeout(connection.timeout());
		if (connection.sslContext() != null) {
			builder.sslContext(connection.sslContext());
		}
		this.client = builder.build();
	}

	MlflowConnection connection() {
		return this.connection;
	}

	<B extends Message.Builder> B get(String endpoint, Map<String, String> query, B response) {
		String text = query.entrySet()
			.stream()
			.map((entry) -> entry.getKey() + "=" + URLEncoder.encode(entry.getValue(), StandardCharsets.UTF_8))
			.collect(Collectors.joining("&"));
		return call(request(API + endpoint + "?" + text).GET(), response);
	}

	<B extends Message.Builder> B post(String endpoint, MessageOrBuilder body, B response) {
		return call(json("POST", endpoint, body), response);
	}

	<B extends Message.Builder> B patch(String endpoint, MessageOrBuilder body, B response) {
		return call(json("PATCH", endpoint, body), response);
	}

	/**
	 * Links a run to a text by its digest, of which the server takes 36 characters.
	 */
	void logDataset(String runId, String name, String digest, String context) {
		LogInputs.Builder inputs = LogInputs.newBuilder()
			.setRunId(runId)
			.addDatasets(DatasetInput.newBuilder()
				.setDataset(Dataset.newBuilder()
					.setName(name)
					.setDigest(shortened(digest, LONGEST_DIGEST))
					.setSourceType("calm")
					.setSource("{\"sha256\":\"" + digest + "\"}"))
				.addTags(InputTag.newBuilder().setKey("mlflow.data.context").setValue(context)));
		try {
			post("runs/log-inputs", inputs, LogInputs.Response.newBuilder());
		}
		catch (MlflowException ex) {
			if (!ex.refused()) {
				throw ex;
			}
			// the server refuses one of two trainings that name a new dataset at the same
			// time, and takes it once it knows the dataset
			post("runs/log-inputs", inputs, LogInputs.Response.newBuilder());
		}
	}

	/** An experiment's id; one that is not there is made. */
	String experiment(@Nullable String id, String name) {
		if (id != null) {
			return idOf(get("experiments/get", Map.of("experiment_id", id), GetExperiment.Response.newBuilder())
				.getExperiment());
		}
		try {
			return idOf(experiment(name));
		}
		catch (MlflowException ex) {
			if (ex.status() != MlflowException.NOT_FOUND || ex.code().equals(MlflowException.DELETED)) {
				throw ex;
			}
		}
		try {
			return post("experiments/create", CreateExperiment.newBuilder().setName(name),
					CreateExperiment.Response.newBuilder())
				.getExperimentId();
		}
		catch (MlflowException ex) {
			// somebody else was faster
			if (ex.code().equals("RESOURCE_ALREADY_EXISTS")) {
				return idOf(experiment(name));
			}
			throw ex;
		}
	}

	/** The server finds what is in its bin, too, but records nothing in it. */
	private String idOf(Experiment experiment) {
		checkNotDeleted("experiment " + experiment.getName(), experiment.getLifecycleStage());
		return experiment.getExperimentId();
	}

	/** Refuses what the server would refuse word by word. */
	void checkNotDeleted(String what, String stage) {
		if (stage.equals("deleted")) {
			throw new MlflowException(this.connection.trackingUri(), MlflowException.NOT_FOUND, MlflowException.DELETED,
					"the " + what + " is deleted there", null, null);
		}
	}

	private Experiment experiment(String name) {
		return get("experiments/get-by-name", Map.of("experiment_name", name),
				GetExperimentByName.Response.newBuilder())
			.getExperiment();
	}

	/**
	 * Where a run has its files.
	 * @param root the artifact URI of the run
	 */
	ArtifactStore store(String root) {
		return this.stores.of(root);
	}

	/** Sends bytes, which may take a second for each megabyte more. */
	void put(String path, String type, BodyPublisher content, long bytes) {
		send(request(path).header("Content-Type", type).PUT(content), BodyHandlers.ofString(), deadline(bytes));
	}

	/** Fetches about as many bytes. */
	<T> T get(String path, HttpResponse.BodyHandler<T> handler, long bytes) {
		return send(request(path).GET(), handler, deadline(bytes));
	}

	/** What is in a directory of a run's artifacts; paths begin at the run's root. */
	List<FileInfo> artifacts(String runId, String path) {
		return get("artifacts/list", Map.of("run_id", runId, "path", path), ListArtifacts.Response.newBuilder())
			.getFilesList();
	}

	private Duration deadline(long bytes) {
		return this.connection.timeout().plusSeconds(bytes >> 20);
	}

	static String encoded(String path) {
		return Stream.of(path.split("/"))
			.map((part) -> URLEncoder.encode(part, StandardCharsets.UTF_8).replace("+", "%20"))
			.collect(Collectors.joining("/"));
	}

	private HttpRequest.Builder json(String method, String endpoint, MessageOrBuilder body) {
		try {
			return request(API + endpoint).header("Content-Type", "application/json")
				.method(method, BodyPublishers.ofString(PRINTER.print(body)));
		}
		catch (InvalidProtocolBufferException ex) {
			throw new IllegalStateException(ex);
		}
	}

	private HttpRequest.Builder request(String pathAndQuery) {
		HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(this.connection.trackingUri() + pathAndQuery));
		if (this.connection.authorization() != null) {
			request.header("Authorization", this.connection.authorization());
		}
		return request.header("User-Agent", "calm-mlflow");
	}

	private <B extends Message.Builder> B call(HttpRequest.Builder request, B response) {
		String body = send(request, BodyHandlers.ofString(), this.connection.timeout());
		try {
			PARSER.merge(body, response);
			return response;
		}
		catch (InvalidProtocolBufferException ex) {
			throw new MlflowException(this.connection.trackingUri(), 502, "",
					"what answers is no MLflow server: " + shortened(body), null, ex);
		}
	}

	private <T> T send(HttpRequest.Builder request, HttpResponse.BodyHandler<T> handler, Duration deadline) {
		// the request's own timeout ends with the headers; the body can stall as well
		HttpRequest built = request.build();
		CompletableFuture<HttpResponse<T>> call = this.client.sendAsync(built,
				(info) -> (info.statusCode() < 300) ? handler.apply(info) : refusal(built.uri(), info));
		try {
			return call.get(deadline.toMillis(), TimeUnit.MILLISECONDS).body();
		}
		catch (TimeoutException ex) {
			call.cancel(true);
			throw new MlflowException(this.connection.trackingUri(), MlflowException.NO_ANSWER, "",
					"gave no answer within " + deadline.toMillis() + " ms", null, ex);
		}
		catch (InterruptedException ex) {
			call.cancel(true);
			Thread.currentThread().interrupt();
			throw failure(ex);
		}
		catch (ExecutionException ex) {
			for (Throwable cause = ex.getCause(); cause != null; cause = cause.getCause()) {
				if (cause instanceof MlflowException refusal) {
					throw refusal;
				}
			}
			throw failure((ex.getCause() != null) ? ex.getCause() : ex);
		}
	}

	/** Reads what the server says about its refusal, and ends the call with it. */
	private <T> HttpResponse.BodySubscriber<T> refusal(URI called, HttpResponse.ResponseInfo info) {
		if (info.statusCode() < 400) {
			String message = "answers " + info.statusCode() + ": it redirects to "
					+ info.headers().firstValue("Location").map((to) -> redirection(called, to)).orElse("nowhere");
			return HttpResponse.BodySubscribers.mapping(HttpResponse.BodySubscribers.discarding(), (nothing) -> {
				throw new MlflowException(this.connection.trackingUri(), info.statusCode(), "", message, null, null);
			});
		}
		return HttpResponse.BodySubscribers.mapping(HttpResponse.BodySubscribers.ofString(StandardCharsets.UTF_8),
				(body) -> {
					String code = "";
					String message = body;
					try {
						JsonElement json = JsonParser.parseString(body);
						if (json instanceof JsonObject object && object.has("error_code")) {
							code = object.get("error_code").getAsString();
							message = object.has("message") ? object.get("message").getAsString() : code;
						}
					}
					catch (JsonParseException | IllegalStateException | UnsupportedOperationException ex) {
						// a proxy's web page: shown as it is
					}
					Duration retryAfter = info.headers()
						.firstValue("Retry-After")
						.filter((value) -> value.matches("\\d{1,6}"))
						.map((value) -> Duration.ofSeconds(Long.parseLong(value)))
						.map((asked) -> (asked.compareTo(LONGEST_WAIT) < 0) ? asked : LONGEST_WAIT)
						.orElse(null);
					throw new MlflowException(this.connection.trackingUri(), info.statusCode(), code,
							"answers " + info.statusCode() + (message.isBlank() ? "" : ": " + shortened(message)),
							retryAfter, null);
				});
	}

	/**
	 * The address to give instead, as far as it can be told; nothing that may be secret.
	 */
	private String redirection(URI called, String location) {
		try {
			URI to = called.resolve(location);
			String path = String.valueOf(to.getRawPath());
			String api = called.getRawPath().substring(this.connection.trackingUri().getRawPath().length());
			String base = path.endsWith(api) ? path.substring(0, path.length() - api.length()) : path;
			if (to.getHost() != null) {
				return shortened(
						to.getScheme() + "://" + to.getHost() + ((to.getPort() >= 0) ? ":" + to.getPort() : "") + base);
			}
		}
		catch (IllegalArgumentException ex) {
			// no address
		}
		return "another address";
	}

	MlflowException failure(Throwable cause) {
		String message = (cause.getMessage() != null) ? cause.getMessage() : "";
		return new MlflowException(
				this.connection.trackingUri(), MlflowException.NO_ANSWER, "", "cannot be reached ("
						+ cause.getClass().getSimpleName() + (message.isEmpty() ? "" : ": " + shortened(message)) + ")",
				null, cause);
	}

	/** No longer than the server takes it, and without half a character. */
	static String shortened(String text, int length) {
		if (text.length() <= length) {
			return text;
		}
		int end = Character.isHighSurrogate(text.charAt(length - 1)) ? length - 1 : length;
		return text.substring(0, end);
	}

	private String shortened(String text) {
		String line = this.connection.mask(text).replaceAll("\\s+", " ").strip();
		return (line.length() <= LONGEST_MESSAGE) ? line : line.substring(0, LONGEST_MESSAGE) + "…";
	}

}

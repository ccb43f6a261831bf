package io.calm.cli;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import io.calm.cli.serve.ServeApplication;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowConnection;
import io.calm.mlflow.MlflowTraces;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Answers over HTTP. */
@Command(name = "serve",
		description = "Answer completions, chat completions and embeddings over HTTP, in the dialect of the OpenAI "
				+ "API, with a web page to try the model. The environment variable CALM_API_KEY holds the key that "
				+ "clients must send, or several keys separated by commas. Without a key, only requests from this "
				+ "machine are answered.")
final class ServeCommand extends Subcommand {

	private static final String KEY = "CALM_API_KEY";

	private static final String EXPORT = "management.opentelemetry.tracing.export.otlp.";

	@Parameters(paramLabel = "MODEL",
			description = "The model directory, or models:/NAME@ALIAS or models:/NAME/VERSION of an MLflow registry.")
	private String model = "model";

	@Option(names = "--host", defaultValue = "127.0.0.1",
			description = "Address to listen on. 0.0.0.0, for all addresses, needs a key (default: ${DEFAULT-VALUE}).")
	private String host = "127.0.0.1";

	@Option(names = "--port", defaultValue = "8080",
			description = "Port to listen on; 0 for any free port (default: ${DEFAULT-VALUE}).")
	private int port;

	@Option(names = "--name", description = "Name by which clients know the model (default: the last part of MODEL).")
	private @Nullable String name;

	@Option(names = "--slots", defaultValue = "4",
			description = "Number of texts to generate at the same time (default: ${DEFAULT-VALUE}).")
	private int slots;

	@Option(names = "--queue", defaultValue = "64",
			description = "Number of requests that may wait for a slot; more are refused (default: ${DEFAULT-VALUE}).")
	private int queue;

	@Option(names = "--context", defaultValue = "512",
			description = "Maximum length of prompt and text together, in patches, or in tokens for a baseline "
					+ "(default: ${DEFAULT-VALUE}).")
	private int context;

	@Option(names = "--mlflow", paramLabel = "URI",
			description = "The MLflow server for models:/… and --traces (default: MLFLOW_TRACKING_URI). Credentials "
					+ "and its certificate come from the environment, as for MLflow's own tools.")
	private @Nullable String mlflow;

	@Option(names = "--traces", paramLabel = "EXPERIMENT",
			description = "Send a trace of each text to this experiment of the MLflow server, which is created if it "
					+ "does not exist. Traces contain neither prompts nor texts.")
	private @Nullable String traces;

	@Option(names = "--trace-texts", description = "Send prompts and texts with the traces. They are private: use this "
			+ "only where everyone who sees the experiment may read them.")
	private boolean traceTexts;

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	@Override
	Report run() {
		if (this.port < 0 || this.port > 65_535) {
			throw new InvalidInputException("--port", "is " + this.port, "choose a number from 0 to 65535");
		}
		ServeApplication.run(properties(System.getenv(KEY)),
				(port, name) -> new Report().put("url", "http://" + authority(port) + "/")
					.put("api", "http://" + authority(port) + "/v1")
					.put("model", name)
					.print(out(), json()));
		return new Report();
	}

	private String authority(int port) {
		return (this.host.contains(":") ? "[" + this.host + "]" : this.host) + ":" + port;
	}

	List<String> properties(@Nullable String keys) {
		if (keys == null && !isLoopback()) {
			throw new InvalidInputException("--host " + this.host,
					"lets other machines reach the service, and there is no key for it",
					"set " + KEY + " to one, such as of 'openssl rand -hex 24', or leave --host out");
		}
		ProgramOptions program = this.compute.generation();
		List<String> properties = new ArrayList<>(List.of("spring.config.name=calm-serve", "calm.http.enabled=true",
				"server.address=" + this.host, "server.port=" + this.port, "calm.model.location=" + this.model,
				"calm.engine.slots=" + this.slots, "calm.engine.queue=" + this.queue,
				"calm.engine.context=" + this.context, "calm.engine.device=" + program.device(),
				"calm.engine.precision=" + program.precision()));
		if (keys != null) {
			properties.add("calm.http.api-keys=" + keys);
		}
		if (this.name != null) {
			properties.add("calm.model.name=" + this.name);
		}
		String uri = (this.mlflow != null) ? this.mlflow : System.getenv("MLFLOW_TRACKING_URI");
		if (uri != null && this.model.startsWith("models:")) {
			properties.add("calm.mlflow.tracking-uri=" + uri);
		}
		if (this.traces != null) {
			properties.addAll(tracing(this.traces));
		}
		if (this.traceTexts) {
			properties
				.addAll(List.of("calm.observations.include-prompt=true", "calm.observations.include-completion=true"));
		}
		return properties;
	}

	/** Spring Boot's own properties. */
	private List<String> tracing(String experiment) {
		MlflowTraces to = MlflowTraces.of(MlflowConnection.of((connection) -> {
			if (this.mlflow != null) {
				connection.trackingUri(this.mlflow);
			}
		}), experiment);
		// headers and protocol that variables of OpenTelemetry name are meant for another
		// server
		List<String> properties = new ArrayList<>(List.of("management.opentelemetry.map-environment-variables=false",
				EXPORT + "endpoint=" + to.endpoint()));
		to.headers().forEach((name, value) -> properties.add(EXPORT + "headers." + name + "=" + value));
		String certificate = System.getenv("MLFLOW_TRACKING_SERVER_CERT_PATH");
		if (certificate != null && !certificate.isBlank()) {
			properties.add("spring.ssl.bundle.pem.mlflow.truststore.certificate=" + Path.of(certificate).toUri());
			properties.add(EXPORT + "ssl.bundle=mlflow");
		}
		return properties;
	}

	private boolean isLoopback() {
		try {
			return InetAddress.getByName(this.host).isLoopbackAddress();
		}
		catch (UnknownHostException ex) {
			throw new InvalidInputException("--host", "is " + this.host + ", which is not known here",
					"choose an address of this machine");
		}
	}

}

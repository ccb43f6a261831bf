package io.calm.cli;

import java.nio.file.Path;

import io.calm.mlflow.MlflowConnection;
import io.calm.mlflow.MlflowRegistry;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where registered models are. */
final class RegistryOption {

	private static final String REGISTERED = "models:/";

	@Option(names = "--mlflow", paramLabel = "URI",
			description = "The MLflow server for models:/… addresses, such as http://localhost:5000 (default: "
					+ "MLFLOW_TRACKING_URI). If this option is given, 'calm evaluate' records scores there. "
					+ "Credentials come from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
					+ "MLFLOW_TRACKING_TOKEN.")
	private @Nullable String uri;

	/** Whether scores are to be recorded. */
	boolean records() {
		return this.uri != null;
	}

	static boolean isRegistered(String model) {
		return model.startsWith(REGISTERED);
	}

	/** The directory of a model, fetched if it is a registered one. */
	Path directory(String model) {
		return isRegistered(model) ? registry().load(model) : Path.of(model);
	}

	MlflowRegistry registry() {
		return MlflowRegistry.of(MlflowConnection.of((connection) -> {
			if (this.uri != null) {
				connection.trackingUri(this.uri);
			}
		}));
	}

}

package io.calm.cli;

import java.nio.file.Path;

import io.calm.mlflow.MlflowConnection;
import io.calm.mlflow.MlflowReplay;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Sends recorded trainings to an MLflow server. */
@Command(name = "mlflow-replay",
		description = "Send trainings that were recorded without an MLflow server, or while it was unavailable. "
				+ "Nothing is sent twice.")
final class MlflowReplayCommand extends Subcommand {

	@Option(names = "--spool", required = true, paramLabel = "DIR",
			description = "The directory mlflow-spool next to the model, or one file in it.")
	private Path spool = Path.of("mlflow-spool");

	@Option(names = "--tracking-uri", paramLabel = "URI",
			description = "The server, such as http://localhost:5000 (default: MLFLOW_TRACKING_URI). Credentials come "
					+ "from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.")
	private @Nullable String trackingUri;

	@Override
	Report run() {
		MlflowReplay.Result result = MlflowReplay.send(this.spool, MlflowConnection.of((connection) -> {
			if (this.trackingUri != null) {
				connection.trackingUri(this.trackingUri);
			}
		}));
		return new Report().put("trainings", result.trainings())
			.put("still_recorded", result.busy())
			.put("points_sent", result.points())
			.put("points_known", result.known())
			.put("refused", result.refused());
	}

}

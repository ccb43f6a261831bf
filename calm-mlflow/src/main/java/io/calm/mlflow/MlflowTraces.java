package io.calm.mlflow;

import java.net.URI;
import java.util.Map;
import java.util.TreeMap;

import io.calm.input.InvalidInputException;

/**
 * Where a tracking server receives traces: OpenTelemetry's protocol in its binary form,
 * over HTTP. Its text never shows a secret.
 *
 * @param endpoint to send them to
 * @param headers to send along: the id of the experiment, and the credentials
 */
public record MlflowTraces(URI endpoint, Map<String, String> headers) {

	/** The headers cannot be changed. */
	public MlflowTraces {
		headers = Map.copyOf(headers);
	}

	/**
	 * Looks up where the traces of an experiment go.
	 * @param connection to the server
	 * @param experiment its name; made if it is not there
	 * @return where to send them
	 * @throws InvalidInputException if the server cannot be reached or refuses
	 */
	public static MlflowTraces of(MlflowConnection connection, String experiment) {
		try {
			Map<String, String> headers = new TreeMap<>();
			headers.put("x-mlflow-experiment-id", new MlflowApi(connection).experiment(null, experiment));
			if (connection.authorization() != null) {
				headers.put("Authorization", connection.authorization());
			}
			return new MlflowTraces(URI.create(connection.trackingUri() + "/v1/traces"), headers);
		}
		catch (MlflowException ex) {
			throw ex.toInvalidInput();
		}
	}

	/** Without the secrets. */
	@Override
	public String toString() {
		return this.endpoint.toString();
	}

}

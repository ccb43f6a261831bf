package io.calm.spring;

import java.nio.file.Path;
import java.time.Duration;

import io.calm.mlflow.MlflowConnection;
import io.calm.mlflow.MlflowOptions;
import io.calm.mlflow.MlflowOptions.Checkpoints;
import org.jspecify.annotations.Nullable;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.boot.ssl.SslBundles;
import org.springframework.util.StringUtils;
import org.springframework.util.unit.DataSize;

/**
 * The properties {@code calm.mlflow.*}: where models come from and where trainings are
 * followed. One that is empty is not set.
 *
 * @param trackingUri Address of the MLflow server, such as http://localhost:5000. Without
 * it, there is no MLflow.
 * @param username User, for basic authentication. By default, as
 * MLFLOW_TRACKING_USERNAME.
 * @param password Password of the user. By default, as MLFLOW_TRACKING_PASSWORD.
 * @param token Token, for bearer authentication, instead of user and password. By
 * default, as MLFLOW_TRACKING_TOKEN.
 * @param sslBundle Name of the SSL bundle that says whom to trust and who the application
 * is. By default, what the JVM trusts.
 * @param timeout How long a call may take; a file gets a second for each megabyte more.
 * @param experiment Name of the experiment of trainings; made if it is not there. By
 * default, as MLFLOW_EXPERIMENT_NAME, else Default.
 * @param run Name of the run of a training. By default, the server invents one.
 * @param checkpoints Which checkpoints of trainings are sent as artifacts.
 * @param spool Directory that keeps what the server has not taken yet. By default,
 * mlflow-spool beside the model that is trained.
 * @param failFast Whether a training ends when the server cannot be reached or refuses.
 * @param cache Directory that keeps models of the registry. By default, calm/models in
 * the user's cache directory.
 * @param cacheLimit How many bytes of models that directory keeps: beyond it, those that
 * were used the longest time ago are deleted, but none that is in use. By default, all
 * are kept.
 */
@ConfigurationProperties("calm.mlflow")
public record CalmMlflowProperties(@Nullable String trackingUri, @Nullable String username, @Nullable String password,
		@Nullable String token, @Nullable String sslBundle, @DefaultValue("10s") Duration timeout,
		@Nullable String experiment, @Nullable String run, @DefaultValue("none") Checkpoints checkpoints,
		@Nullable Path spool, @DefaultValue("false") boolean failFast, @Nullable Path cache,
		@Nullable DataSize cacheLimit) {

	/** What {@code ${VARIABLE:}} makes of a variable that is not set is empty. */
	public CalmMlflowProperties {
		trackingUri = filled(trackingUri);
		username = filled(username);
		password = filled(password);
		token = filled(token);
		sslBundle = filled(sslBundle);
		experiment = filled(experiment);
		run = filled(run);
		spool = (spool == null || filled(spool.toString()) == null) ? null : spool;
		cache = (cache == null || filled(cache.toString()) == null) ? null : cache;
	}

	private static @Nullable String filled(@Nullable String value) {
		return StringUtils.hasText(value) ? value : null;
	}

	void applyTo(MlflowConnection.Builder connection, SslBundles bundles) {
		if (this.trackingUri != null) {
			connection.trackingUri(this.trackingUri);
		}
		if (this.username != null) {
			connection.basic(this.username, (this.password != null) ? this.password : "");
		}
		if (this.token != null) {
			connection.token(this.token);
		}
		if (this.sslBundle != null) {
			connection.sslContext(bundles.getBundle(this.sslBundle).createSslContext());
		}
		connection.timeout(this.timeout);
	}

	void applyTo(MlflowOptions.Builder options) {
		if (this.experiment != null) {
			options.experiment(this.experiment);
		}
		if (this.run != null) {
			options.run(this.run);
		}
		if (this.spool != null) {
			options.spool(this.spool);
		}
		options.checkpoints(this.checkpoints).failFast(this.failFast);
	}

	/** Without the secrets. */
	@Override
	public String toString() {
		return "calm.mlflow";
	}

}

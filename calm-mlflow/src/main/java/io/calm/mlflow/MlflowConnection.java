package io.calm.mlflow;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * Where a tracking server is and how to be let in. What is not set comes from the
 * variables of MLflow's own tools: {@code MLFLOW_TRACKING_URI},
 * {@code MLFLOW_TRACKING_USERNAME} and {@code MLFLOW_TRACKING_PASSWORD},
 * {@code MLFLOW_TRACKING_TOKEN}, {@code MLFLOW_TRACKING_SERVER_CERT_PATH}. Its text never
 * shows a secret.
 */
public final class MlflowConnection {

	private static final String MASK = "***";

	private final URI trackingUri;

	private final @Nullable String authorization;

	private final List<String> secrets;

	private final @Nullable SSLContext sslContext;

	private final Duration timeout;

	private MlflowConnection(URI trackingUri, @Nullable String authorization, List<String> secrets,
			@Nullable SSLContext sslContext, Duration timeout) {
		this.trackingUri = trackingUri;
		this.authorization = authorization;
		this.secrets = secrets;
		this.sslContext = sslContext;
		this.timeout = timeout;
	}

	/**
	 * A connection.
	 * @param trackingUri such as {@code http://localhost:5000}
	 * @return the connection; nothing is called yet
	 */
	public static MlflowConnection to(String trackingUri) {
		return of((connection) -> connection.trackingUri(trackingUri));
	}

	/**
	 * A connection.
	 * @param connection sets address and credentials
	 * @return the connection; nothing is called yet
	 * @throws InvalidInputException if there is no tracking URI, or it is not one of
	 * {@code http} or {@code https}
	 */
	public static MlflowConnection of(Consumer<Builder> connection) {
		Builder builder = new Builder(System.getenv());
		connection.accept(builder);
		return builder.build()
			.orElseThrow(() -> new InvalidInputException("MLflow", "the tracking URI is missing",
					"give one, such as http://localhost:5000, or set MLFLOW_TRACKING_URI"));
	}

	/**
	 * The server.
	 * @return its address, without credentials
	 */
	public URI trackingUri() {
		return this.trackingUri;
	}

	/**
	 * How long a call may take; transfers of files get a second for each megabyte more.
	 * @return the time
	 */
	public Duration timeout() {
		return this.timeout;
	}

	@Nullable String authorization() {
		return this.authorization;
	}

	@Nullable SSLContext sslContext() {
		return this.sslContext;
	}

	/** Without the secrets of this connection. */
	String mask(String text) {
		String masked = maskAddresses(text);
		for (String secret : this.secrets) {
			masked = masked.replace(secret, MASK);
		}
		return masked;
	}

	/** Without the credentials of any address in it. */
	static String maskAddresses(String text) {
		return text.contains("://") ? text.replaceAll("://[^/\\s@]+@", "://" + MASK + "@") : text;
	}

	@Override
	public String toString() {
		return this.trackingUri + ((this.authorization != null) ? " with credentials" : "");
	}

	/**
	 * Builds a connection.
	 */
	public static final class Builder {

		private final Map<String, String> environment;

		private @Nullable String trackingUri;

		private @Nullable String username;

		private @Nullable String password;

		private @Nullable String token;

		private @Nullable SSLContext sslContext;

		private Duration timeout = Duration.ofSeconds(10);

		Builder(Map<String, String> environment) {
			this.environment = environment;
			this.trackingUri = environment.get("MLFLOW_TRACKING_URI");
			this.username = environment.get("MLFLOW_TRACKING_USERNAME");
			this.password = environment.get("MLFLOW_TRACKING_PASSWORD");
			this.token = environment.get("MLFLOW_TRACKING_TOKEN");
		}

		/**
		 * The server.
		 * @param trackingUri such as {@code http://localhost:5000}; may hold
		 * {@code user:password@}
		 * @return this
		 */
		public Builder trackingUri(String trackingUri) {
			this.trackingUri = trackingUri;
			return this;
		}

		/**
		 * Basic authentication.
		 * @param username the user
		 * @param password the user's
		 * @return this
		 */
		public Builder basic(String username, String password) {
			this.username = username;
			this.password = password;
			this.token = null;
			return this;
		}

		/**
		 * Bearer authentication.
		 * @param token the token
		 * @return this
		 */
		public Builder token(String token) {
			this.token = token;
			this.username = null;
			this.password = null;
			return this;
		}

		/**
		 * Whom to trust and, for mutual TLS, who this is.
		 * @param sslContext the JVM's by default
		 * @return this
		 */
		public Builder sslContext(SSLContext sslContext) {
			this.sslContext = sslContext;
			return this;
		}

		/**
		 * How long a call may take.
		 * @param timeout 10 s by default
		 * @return this
		 */
		public Builder timeout(Duration timeout) {
			this.timeout = timeout;
			return this;
		}

		/** Empty without a tracking URI. */
		Optional<MlflowConnection> build() {
			if (this.trackingUri == null || this.trackingUri.isBlank()) {
				return Optional.empty();
			}
			if (this.timeout.isNegative() || this.timeout.isZero()) {
				throw new InvalidInputException("MLflow, timeout", "is " + this.timeout, "choose a positive time");
			}
			URI given = uri(this.trackingUri.strip());
			String user = this.username;
			String secret = this.password;
			if (given.getUserInfo() != null) {
				int colon = given.getUserInfo().indexOf(':');
				user = (colon < 0) ? given.getUserInfo() : given.getUserInfo().substring(0, colon);
				secret = (colon < 0) ? "" : given.getUserInfo().substring(colon + 1);
			}
			String authorization = null;
			List<String> secrets = new ArrayList<>();
			if (user != null) {
				String pair = user + ":" + ((secret != null) ? secret : "");
				String encoded = Base64.getEncoder().encodeToString(pair.getBytes(StandardCharsets.UTF_8));
				authorization = "Basic " + encoded;
				secrets.add(encoded);
				if (secret != null && !secret.isEmpty()) {
					secrets.add(secret);
				}
			}
			else if (this.token != null && !this.token.isBlank()) {
				if (!this.token.strip().matches("[\\x21-\\x7e]+")) {
					throw new InvalidInputException("MLflow, token", "holds characters that no header may hold",
							"check how it was copied");
				}
				authorization = "Bearer " + this.token.strip();
				secrets.add(this.token.strip());
			}
			return Optional.of(new MlflowConnection(withoutUser(given), authorization, List.copyOf(secrets),
					(this.sslContext != null) ? this.sslContext : ofEnvironment(), this.timeout));
		}

		private static URI uri(String text) {
			URI uri;
			try {
				uri = URI.create(text);
			}
			catch (IllegalArgumentException ex) {
				throw unusable(text);
			}
			if (uri.getHost() == null || !("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))) {
				throw unusable(text);
			}
			return uri;
		}

		/** The exception's cause would show the credentials: there is none. */
		private static InvalidInputException unusable(String text) {
			return new InvalidInputException("MLflow, tracking URI " + maskAddresses(text),
					"is no address of a tracking server",
					"start one with 'mlflow server' and give its address, such as http://localhost:5000");
		}

		private static URI withoutUser(URI uri) {
			String path = uri.getPath().replaceAll("/+$", "");
			return URI.create(
					uri.getScheme() + "://" + uri.getHost() + ((uri.getPort() >= 0) ? ":" + uri.getPort() : "") + path);
		}

		private @Nullable SSLContext ofEnvironment() {
			if ("true".equalsIgnoreCase(this.environment.get("MLFLOW_TRACKING_INSECURE_TLS"))) {
				throw new InvalidInputException("MLFLOW_TRACKING_INSECURE_TLS", "is not supported",
						"name the server's certificate in MLFLOW_TRACKING_SERVER_CERT_PATH");
			}
			String file = this.environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH");
			return (file != null && !file.isBlank()) ? trusting(Path.of(file)) : null;
		}

		private static SSLContext trusting(Path file) {
			try (InputStream in = Files.newInputStream(file)) {
				KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
				trusted.load(null, null);
				for (Certificate certificate : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
					trusted.setCertificateEntry("server-" + trusted.size(), certificate);
				}
				TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
				trust.init(trusted);
				SSLContext context = SSLContext.getInstance("TLS");
				context.init(null, trust.getTrustManagers(), null);
				return context;
			}
			catch (IOException | GeneralSecurityException ex) {
				throw new InvalidInputException("MLFLOW_TRACKING_SERVER_CERT_PATH=" + file,
						"holds no certificates that can be read (" + ex + ")", "name a PEM file", ex);
			}
		}

	}

}

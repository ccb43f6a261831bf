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
 * {@code MLFLOW_TRACKING_TOKEN}, {@code MLFLOW_TRACKING_SERVER_CERT_PATH}; what is empty
 * is not set. Its text never shows a secret.
 */
public final class MlflowConnection {

	private static final String MASK = "***";

	private final URI trackingUri;

	private final @Nullable String authorization;

	private final List<String> secrets;

	private final @Nullable SSLContext sslContext;

	private final Duration timeout;

	private final Map<String, String> environment;

	private MlflowConnection(URI trackingUri, @Nullable String authorization, List<String> secrets,
			@Nullable SSLContext sslContext, Duration timeout, Map<String, String> environment) {
		this.trackingUri = trackingUri;
		this.authorization = authorization;
		this.secrets = secrets;
		this.sslContext = sslContext;
		this.timeout = timeout;
		this.environment = environment;
	}

	/**
	 * Connects to the server at an address, with what the environment says of
	 * credentials.
	 * @param trackingUri such as {@code http://localhost:5000}
	 * @return the connection; nothing is called yet
	 */
	public static MlflowConnection to(String trackingUri) {
		return of((connection) -> connection.trackingUri(trackingUri));
	}

	/**
	 * Builds a connection from settings, with the environment's values where they say
	 * nothing.
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
	 * The address of the tracking server, without credentials.
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

	/** What says how the stores of artifacts are reached. */
	Map<String, String> environment() {
		return this.environment;
	}

	/** Without the secrets of this connection. */
	String mask(String text) {
		String masked = maskAddresses(text);
		for (String secret : this.secrets) {
			masked = masked.replace(secret, MASK);
		}
		return masked;
	}

	/**
	 * Without the credentials of any address in it. A password may hold a slash or an at
	 * sign that nobody has encoded: what is before the last at sign goes.
	 */
	static String maskAddresses(String text) {
		return text.contains("://") ? text.replaceAll("://\\S*@", "://" + MASK + "@") : text;
	}

	/**
	 * Null for what is empty, which is what Compose makes of a variable without a value.
	 */
	static @Nullable String filled(@Nullable String value) {
		return (value == null || value.isBlank()) ? null : value;
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
		}

		/**
		 * Sets the address of the tracking server.
		 * @param trackingUri such as {@code http://localhost:5000}; may hold
		 * {@code user:password@}, in which {@code /} is written {@code %2F} and {@code @}
		 * is written {@code %40}
		 * @return this
		 */
		public Builder trackingUri(String trackingUri) {
			this.trackingUri = trackingUri;
			return this;
		}

		/**
		 * Authenticates by user name and password.
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
		 * Authenticates by a bearer token.
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
			String address = orElse(this.trackingUri, "MLFLOW_TRACKING_URI");
			if (address == null) {
				return Optional.empty();
			}
			if (this.timeout.isNegative() || this.timeout.isZero()) {
				throw new InvalidInputException("MLflow, timeout", "is " + this.timeout, "choose a positive time");
			}
			TrackingAddress server = TrackingAddress.parse(address);
			String user = server.username();
			String secret = server.password();
			String bearer = null;
			if (user == null && filled(this.username) == null && filled(this.token) == null) {
				user = orElse(null, "MLFLOW_TRACKING_USERNAME");
				secret = orElse(null, "MLFLOW_TRACKING_PASSWORD");
				bearer = orElse(null, "MLFLOW_TRACKING_TOKEN");
			}
			else if (user == null) {
				user = filled(this.username);
				secret = filled(this.password);
				bearer = filled(this.token);
			}
			List<String> secrets = new ArrayList<>();
			String authorization = null;
			// half of a pair does not replace a token
			if (user != null && (secret != null || bearer == null)) {
				authorization = basic(user, secret, secrets);
			}
			else if (bearer != null) {
				authorization = bearer(bearer.strip(), secrets);
			}
			if (server.encodedPassword() != null) {
				secrets.add(server.encodedPassword());
			}
			return Optional.of(new MlflowConnection(server.uri(), authorization, List.copyOf(secrets),
					(this.sslContext != null) ? this.sslContext : ofEnvironment(), this.timeout, this.environment));
		}

		private @Nullable String orElse(@Nullable String given, String variable) {
			return (filled(given) != null) ? given : filled(this.environment.get(variable));
		}

		private static String basic(String user, @Nullable String password, List<String> secrets) {
			String pair = user + ":" + ((password != null) ? password : "");
			String encoded = Base64.getEncoder().encodeToString(pair.getBytes(StandardCharsets.UTF_8));
			secrets.add(encoded);
			if (password != null) {
				secrets.add(password);
			}
			return "Basic " + encoded;
		}

		private static String bearer(String token, List<String> secrets) {
			if (!token.matches("[\\x21-\\x7e]+")) {
				throw new InvalidInputException("MLflow, token", "holds characters that no header may hold",
						"check how it was copied");
			}
			secrets.add(token);
			return "Bearer " + token;
		}

		private @Nullable SSLContext ofEnvironment() {
			String insecure = this.environment.getOrDefault("MLFLOW_TRACKING_INSECURE_TLS", "").strip();
			if (insecure.equalsIgnoreCase("true") || insecure.equals("1")) {
				throw new InvalidInputException("MLFLOW_TRACKING_INSECURE_TLS", "is not supported",
						MlflowException.NAME_THE_CERTIFICATE);
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

package io.calm.hub;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Locale;
import java.util.Objects;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * Asks a hub, follows it elsewhere, and waits when it is told to. The token goes to the
 * hub alone.
 */
final class HubClient {

	private static final int MOST_REDIRECTS = 5;

	private static final int MOST_ATTEMPTS = 5;

	private static final Duration LONGEST_WAIT = Duration.ofMinutes(1);

	private static final int TOO_MANY_REQUESTS = 429;

	private final HttpClient http = HttpClient.newBuilder()
		.followRedirects(HttpClient.Redirect.NEVER)
		.connectTimeout(Duration.ofSeconds(30))
		.build();

	private final URI endpoint;

	private final @Nullable String token;

	private final Duration pause;

	/**
	 * A client.
	 * @param endpoint of the hub
	 * @param token of a user; null for none
	 * @param pause before the second attempt; each further one doubles it
	 */
	HubClient(URI endpoint, @Nullable String token, Duration pause) {
		this.endpoint = endpoint;
		this.token = token;
		this.pause = pause;
	}

	int attempts() {
		return MOST_ATTEMPTS;
	}

	/**
	 * Gets something from the hub, wherever it lies.
	 * @param path below the endpoint, escaped
	 * @param from the first byte
	 * @param model for errors
	 * @return 200, or 206 for a part; its body is to be closed
	 * @throws IOException if the connection fails
	 */
	HttpResponse<InputStream> get(String path, long from, ModelName model) throws IOException {
		URI address = URI.create(this.endpoint.toString().replaceFirst("/+$", "") + path);
		int redirects = 0;
		int attempt = 1;
		while (true) {
			HttpResponse<InputStream> response = send(address, from);
			int status = response.statusCode();
			if (status == 200 || status == 206) {
				return response;
			}
			response.body().close();
			if (status >= 300 && status < 400 && redirects++ < MOST_REDIRECTS) {
				address = redirected(address, response);
			}
			else if ((status == TOO_MANY_REQUESTS || status >= 500) && attempt < MOST_ATTEMPTS) {
				sleep(wait(response, attempt++));
			}
			else {
				throw refused(status, address, path, model);
			}
		}
	}

	private HttpResponse<InputStream> send(URI address, long from) throws IOException {
		HttpRequest.Builder request = HttpRequest.newBuilder(address)
			.timeout(Duration.ofMinutes(1))
			.header("User-Agent", "calm");
		if (this.token != null && isHub(address)) {
			request.header("Authorization", "Bearer " + this.token);
		}
		if (from > 0) {
			request.header("Range", "bytes=" + from + "-");
		}
		try {
			return this.http.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			throw new IOException("interrupted", ex);
		}
	}

	private boolean isHub(URI address) {
		return address.getScheme().equals(this.endpoint.getScheme())
				&& address.getHost().equals(this.endpoint.getHost()) && address.getPort() == this.endpoint.getPort();
	}

	private static URI redirected(URI from, HttpResponse<InputStream> response) throws IOException {
		String location = response.headers()
			.firstValue("Location")
			.orElseThrow(() -> new IOException("a redirect to nowhere"));
		URI to;
		try {
			to = from.resolve(location);
		}
		catch (IllegalArgumentException ex) {
			throw new IOException("a redirect to nowhere", ex);
		}
		String scheme = Objects.requireNonNullElse(to.getScheme(), "").toLowerCase(Locale.ROOT);
		if (!scheme.equals("https") && !scheme.equals(from.getScheme()) || to.getHost() == null) {
			throw new IOException("a redirect away from " + from.getScheme());
		}
		return to;
	}

	private Duration wait(HttpResponse<InputStream> response, int attempt) {
		Duration told = response.headers()
			.firstValue("Retry-After")
			.filter((value) -> value.matches("\\d{1,9}"))
			.map((value) -> Duration.ofSeconds(Long.parseLong(value)))
			.orElse(this.pause.multipliedBy(1L << (attempt - 1)));
		return (told.compareTo(LONGEST_WAIT) > 0) ? LONGEST_WAIT : told;
	}

	/** Waits before an attempt after a failure. */
	void pause(int attempt) throws IOException {
		sleep(this.pause.multipliedBy(1L << (attempt - 1)));
	}

	private static void sleep(Duration time) throws IOException {
		try {
			Thread.sleep(time.toMillis());
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			throw new IOException("interrupted", ex);
		}
	}

	private InvalidInputException refused(int status, URI address, String path, ModelName model) {
		if (status == 401 || status == 403) {
			return new InvalidInputException(model.toString(), "may not be read (" + status + "), or is not there",
					(this.token == null) ? "set HF_TOKEN to a token that may read it"
							: "use an HF_TOKEN that may read it, and accept its terms on its page");
		}
		if (status == 404) {
			return new InvalidInputException(model.toString(), "is not at " + this.endpoint, "check name and revision");
		}
		if (status == TOO_MANY_REQUESTS) {
			return new InvalidInputException(model.toString(),
					"cannot be fetched now: " + this.endpoint + " answers no more requests (429)",
					"try again later; what has been fetched is kept");
		}
		return new InvalidInputException(model.toString(),
				"cannot be fetched: " + address.getHost() + " answers " + status + " to " + path, "try again later");
	}

}

package io.calm.mlflow;

import java.net.URI;
import java.net.URISyntaxException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.regex.Pattern;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * The address of a tracking server, as people write it. One that cannot be used is shown
 * only where nothing in it can be part of a password: nobody knows where the password of
 * a malformed address ends.
 *
 * @param uri of the server, without credentials and slashes at its end
 * @param username before the colon
 * @param password behind the colon
 * @param encodedPassword as it is written in the address
 */
record TrackingAddress(URI uri, @Nullable String username, @Nullable String password,
		@Nullable String encodedPassword) {

	/** No at sign, and behind a colon only slashes or a port. */
	private static final Pattern HARMLESS = Pattern
		.compile("([a-zA-Z][\\w+.-]*:/+)?[^@:%?#/][^@:%?#]*(:\\d{1,5}(/[^@:%?#]*)?)?|[a-zA-Z]+:/*");

	private static final Pattern HOST_WITH_UNDERSCORE = Pattern.compile("[\\w.-]*_[\\w.-]*(:\\d*)?");

	private static final String EXAMPLE = "start one with 'mlflow server' and give its address, such as"
			+ " http://localhost:5000";

	private static final String ENCODE = "write / in a user or password as %2F, @ as %40, : as %3A, % as %25 and a space"
			+ " as %20, or set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD";

	static TrackingAddress parse(String given) {
		String text = given.strip();
		URI uri;
		try {
			uri = new URI(text);
		}
		catch (URISyntaxException ex) {
			// the exception would show the credentials: it is no cause either
			throw text.contains("@") ? unclear(text) : unusable(text, "is no address of a tracking server", EXAMPLE);
		}
		String scheme = String.valueOf(uri.getScheme()).toLowerCase(Locale.ROOT);
		String authority = uri.getRawAuthority();
		int at = (authority != null) ? authority.indexOf('@') : -1;
		if (text.indexOf('@') >= 0 && (at < 0 || text.indexOf('@') != text.lastIndexOf('@'))) {
			throw unclear(text);
		}
		if (authority == null || !(scheme.equals("http") || scheme.equals("https"))) {
			throw unusable(text, "is no address of a tracking server", EXAMPLE);
		}
		if (uri.getHost() == null) {
			String host = authority.substring(at + 1);
			throw HOST_WITH_UNDERSCORE.matcher(host).matches()
					? unusable(
							text,
							"has an underscore in the host name " + host.replaceFirst(":.*", "")
									+ ", which Java's HTTP client refuses",
							"call the server by another name, such as an alias of the service in Compose, or by its IP"
									+ " address")
					: unusable(text, "has no host name, or one of other characters than letters, digits, hyphens and"
							+ " points, or a port that is no number", EXAMPLE);
		}
		if (uri.getPort() == 0 || uri.getPort() > 65_535) {
			throw unusable(text, "has a port that is not in 1 to 65535", EXAMPLE);
		}
		if (uri.getRawQuery() != null) {
			throw unusable(text, "has a question mark, which no tracking server's address has",
					"leave out what begins there");
		}
		// what is behind # is a page of the user interface
		String path = uri.getRawPath().replaceAll("/+$", "");
		URI server = URI.create(
				URI.create(scheme + "://" + authority.substring(at + 1).replaceFirst(":$", "") + path).toASCIIString());
		if (at <= 0) {
			return new TrackingAddress(server, null, null, null);
		}
		String[] pair = authority.substring(0, at).split(":", 2);
		String encoded = (pair.length == 2 && !pair[1].isEmpty()) ? pair[1] : null;
		return new TrackingAddress(server, decoded(pair[0]), (encoded != null) ? decoded(encoded) : null, encoded);
	}

	private static String decoded(String text) {
		return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
	}

	private static InvalidInputException unclear(String text) {
		return unusable(text, "does not say clearly where its user and password end", ENCODE);
	}

	private static InvalidInputException unusable(String text, String problem, String action) {
		String where = HARMLESS.matcher(text).matches() ? "MLflow, tracking URI " + text
				: "MLflow, tracking URI (not shown, it may hold a password)";
		return new InvalidInputException(where, problem, action);
	}

}

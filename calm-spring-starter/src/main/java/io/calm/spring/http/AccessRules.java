package io.calm.spring.http;

import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

import org.springframework.http.HttpHeaders;
import org.springframework.http.server.reactive.ServerHttpRequest;

/**
 * Who may use the service: whoever has a key; without keys, who is on this machine. Even
 * there, a browser shows pages of other sites, and one of them could let its own name
 * lead to this machine. Hence the name by which the service is called is checked, and no
 * answer allows another site to read it.
 */
final class AccessRules {

	private static final String SCHEME = "Bearer ";

	/** Of each key, so that all of them are equally long. */
	private final List<byte[]> digests;

	private final Set<String> hosts = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);

	private final boolean checksHosts;

	/**
	 * The rules at an address.
	 * @param address where the server listens, {@code null} for everywhere
	 * @throws InvalidInputException if everybody could use the service
	 */
	AccessRules(List<String> keys, List<String> hosts, @Nullable InetAddress address) {
		this.digests = keys.stream().map(AccessRules::digest).toList();
		this.checksHosts = address != null && address.isLoopbackAddress();
		if (keys.isEmpty() && !this.checksHosts) {
			throw new InvalidInputException("calm.http.api-keys",
					"are not set, and other machines reach the service at "
							+ ((address != null) ? address.getHostAddress() : "every address of this one"),
					"set at least one key, or bind the server to this machine with server.address=127.0.0.1");
		}
		if (address != null) {
			this.hosts.addAll(List.of("localhost", "127.0.0.1", "[::1]", address.getHostAddress(),
					"[" + address.getHostAddress() + "]"));
		}
		this.hosts.addAll(hosts);
	}

	void check(ServerHttpRequest request) {
		String host = request.getURI().getHost();
		if (this.checksHosts && (host == null || !this.hosts.contains(host))) {
			throw RefusedException.invalid(403, "host_not_allowed", null,
					"the service is not called by this name; use localhost, or add the name to calm.http.hosts");
		}
		if (!this.digests.isEmpty() && !isKnown(request.getHeaders().getFirst(HttpHeaders.AUTHORIZATION))) {
			throw RefusedException.invalid(401, "invalid_api_key", null,
					"the key is missing or wrong; send one of calm.http.api-keys as 'Authorization: Bearer KEY'");
		}
	}

	/** Takes as long for a key that is nearly right as for any other. */
	private boolean isKnown(@Nullable String authorization) {
		if (authorization == null || !authorization.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
			return false;
		}
		byte[] given = digest(authorization.substring(SCHEME.length()).strip());
		boolean known = false;
		for (byte[] each : this.digests) {
			known |= MessageDigest.isEqual(each, given);
		}
		return known;
	}

	private static byte[] digest(String key) {
		try {
			return MessageDigest.getInstance("SHA-256").digest(key.getBytes(StandardCharsets.UTF_8));
		}
		catch (NoSuchAlgorithmException ex) {
			throw new IllegalStateException(ex);
		}
	}

}

package io.calm.mlflow;

import java.net.URI;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.jspecify.annotations.Nullable;

/**
 * The stores that a server may name: its own proxy, S3, and directories. AWS's library is
 * only looked for when a server names S3.
 */
final class ArtifactStores {

	private static final Pattern SCHEME = Pattern.compile("([A-Za-z][A-Za-z\\d+.-]+):.*");

	private final MlflowApi api;

	private @Nullable S3 s3;

	ArtifactStores(MlflowApi api) {
		this.api = api;
	}

	/**
	 * The store of a run.
	 * @param root the artifact URI of the run, as the server says it
	 */
	ArtifactStore of(String root) {
		Matcher scheme = SCHEME.matcher(root);
		return switch (scheme.matches() ? scheme.group(1) : "file") {
			case "mlflow-artifacts" -> new ProxiedArtifacts(this.api, root);
			case "s3" -> s3().artifacts(root);
			case "file" -> directory(root);
			default -> throw refused(root, "which this client does not know", null);
		};
	}

	private synchronized S3 s3() {
		MlflowConnection connection = this.api.connection();
		try {
			if (this.s3 == null) {
				this.s3 = S3.open(connection);
			}
			return this.s3;
		}
		catch (NoClassDefFoundError ex) {
			throw MlflowException.ofArtifacts(connection.trackingUri(), MlflowException.REFUSED,
					"has its artifacts at s3://, and AWS's library is missing",
					"add software.amazon.awssdk:s3 and software.amazon.awssdk:url-connection-client to the class path, "
							+ proxy("s3://BUCKET/PATH"),
					ex);
		}
	}

	private ArtifactStore directory(String root) {
		try {
			URI uri = root.startsWith("file:") ? URI.create(root) : null;
			if (uri != null && (uri.getPath() == null || !(uri.getAuthority() == null || uri.getAuthority().isEmpty()
					|| uri.getAuthority().equals("localhost")))) {
				throw refused(root, "which is on another machine", null);
			}
			Path directory = Path.of((uri != null) ? uri.getPath() : root);
			if (!directory.isAbsolute()) {
				throw refused(root, "which begins at the server's working directory", null);
			}
			if (!DirectoryArtifacts.isHere(directory)) {
				throw refused(root, "which does not exist on this machine", "mount it at the same path");
			}
			return new DirectoryArtifacts(this.api.connection().trackingUri(), directory.normalize());
		}
		catch (IllegalArgumentException ex) {
			throw refused(root, "which is no path", null);
		}
	}

	private MlflowException refused(String root, String why, @Nullable String action) {
		String shown = MlflowConnection.maskAddresses(root);
		String proxy = proxy(
				shown.matches("[a-z\\d]+://\\S+") ? shown.replaceFirst("(://[^/]*).*", "$1/PATH") : "PATH");
		return MlflowException.ofArtifacts(this.api.connection().trackingUri(), MlflowException.REFUSED,
				"has its artifacts at " + shown + ", " + why,
				(action != null) ? action + ", " + proxy : proxy.substring("or ".length()), null);
	}

	private static String proxy(String destination) {
		return "or let the server pass them on: mlflow server --serve-artifacts --artifacts-destination " + destination;
	}

}

package io.calm.mlflow;

import java.io.IOException;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Artifacts that the server passes on to a store that only it knows.
 */
final class ProxiedArtifacts implements ArtifactStore {

	private static final String ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/";

	private static final String SCHEME = "mlflow-artifacts:/";

	private final MlflowApi api;

	private final String root;

	ProxiedArtifacts(MlflowApi api, String root) {
		this.api = api;
		String path = root.substring(SCHEME.length());
		if (path.startsWith("/")) {
			// mlflow-artifacts://host:port/path
			path = path.substring(path.indexOf('/', 1) + 1);
		}
		this.root = ARTIFACTS + MlflowApi.encoded(path) + "/";
	}

	@Override
	public void upload(String path, Path file) {
		try {
			this.api.put(at(path), "application/octet-stream", BodyPublishers.ofFile(file), Files.size(file));
		}
		catch (IOException ex) {
			throw this.api.failure(ex);
		}
	}

	@Override
	public void upload(String path, String text) {
		this.api.put(at(path), "text/plain; charset=utf-8", BodyPublishers.ofString(text), text.length());
	}

	@Override
	public String download(String path) {
		return this.api.get(at(path), BodyHandlers.ofString(), 0);
	}

	@Override
	public void download(String path, long size, Path file) {
		this.api.get(at(path), BodyHandlers.ofFile(file), size);
	}

	@Override
	public boolean isListed() {
		return true;
	}

	private String at(String path) {
		return this.root + MlflowApi.encoded(path);
	}

}

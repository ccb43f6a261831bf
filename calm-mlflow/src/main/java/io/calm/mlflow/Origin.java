package io.calm.mlflow;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

import org.mlflow.tracking.utils.MlflowTagConstants;

/** Where a training comes from, in the tags that MLflow's own tools set. */
final class Origin {

	private Origin() {
	}

	static Map<String, String> tags() {
		Map<String, String> tags = new LinkedHashMap<>();
		tags.put(MlflowTagConstants.USER, System.getProperty("user.name", "unknown"));
		tags.put(MlflowTagConstants.SOURCE_TYPE, "LOCAL");
		// only the program: its arguments may hold a password
		tags.put(MlflowTagConstants.SOURCE_NAME, System.getProperty("sun.java.command", "java").split("\\s", 2)[0]);
		String commit = commit();
		if (commit.matches("[0-9a-f]{40,64}")) {
			tags.put("mlflow.source.git.commit", commit);
		}
		tags.put("calm.java", Runtime.version().toString());
		tags.put("calm.system", System.getProperty("os.name") + " " + System.getProperty("os.arch") + ", "
				+ Runtime.getRuntime().availableProcessors() + " processors");
		String version = Origin.class.getPackage().getImplementationVersion();
		if (version != null) {
			tags.put("calm.version", version);
		}
		return tags;
	}

	/** Of the working directory; empty where there is no git or no repository. */
	private static String commit() {
		try {
			Process git = new ProcessBuilder("git", "rev-parse", "HEAD").redirectError(ProcessBuilder.Redirect.DISCARD)
				.start();
			try (InputStream out = git.getInputStream()) {
				git.getOutputStream().close();
				if (!git.waitFor(2, TimeUnit.SECONDS)) {
					git.destroyForcibly();
					return "";
				}
				return new String(out.readNBytes(100), StandardCharsets.US_ASCII).strip();
			}
		}
		catch (IOException ex) {
			return "";
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			return "";
		}
	}

}

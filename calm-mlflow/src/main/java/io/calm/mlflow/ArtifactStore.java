package io.calm.mlflow;

import java.nio.file.Path;

/**
 * Where the files of a run are. A path begins at the run's root and has slashes. What
 * fails ends with a {@link MlflowException}.
 */
interface ArtifactStore {

	/** Of what is read as a text. */
	int LONGEST_TEXT = 1 << 20;

	/** Sends a file without holding it in memory. */
	void upload(String path, Path file);

	void upload(String path, String text);

	/** Of a text that is longer than {@link #LONGEST_TEXT}, at least one byte more. */
	String download(String path);

	/**
	 * Fetches a file.
	 * @param size as the server lists it, where it lists sizes
	 */
	void download(String path, long size, Path file);

	/**
	 * Whether the server itself has the files. It lists their sizes, and a larger one may
	 * take longer.
	 */
	default boolean isListed() {
		return false;
	}

}

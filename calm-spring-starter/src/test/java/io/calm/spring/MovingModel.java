package io.calm.spring;

import java.nio.file.Path;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * Knows {@code moving:tiny}, which leads to a version that tests choose.
 */
public final class MovingModel implements ModelResolver {

	/** Where the model is. */
	public static final String LOCATION = "moving:tiny";

	private volatile String version = "1";

	private volatile Path directory = TinyModel.directory();

	/**
	 * Leads to another version from now on.
	 * @param version its name
	 * @param directory with its files
	 */
	public void moveTo(String version, Path directory) {
		this.directory = directory;
		this.version = version;
	}

	@Override
	public @Nullable Path resolve(String location) {
		return location.equals(LOCATION) ? this.directory : null;
	}

	@Override
	public @Nullable String version(String location) {
		if (location.equals(LOCATION) && this.version.isEmpty()) {
			throw new InvalidInputException(LOCATION, "is not there at the moment", "wait");
		}
		return location.equals(LOCATION) ? this.version : null;
	}

}

package io.calm.spring;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

import io.calm.checkpoint.ModelDirectory;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

import org.springframework.core.io.Resource;
import org.springframework.core.io.ResourceLoader;
import org.springframework.core.io.support.ResourcePatternResolver;
import org.springframework.core.io.support.ResourcePatternUtils;
import org.springframework.util.FileSystemUtils;
import org.springframework.util.ResourceUtils;

/**
 * Paths, {@code file:} and {@code classpath:}. A model inside a jar is copied to a
 * temporary directory, because weights are read from files.
 */
final class ResourceModelResolver implements ModelResolver, AutoCloseable {

	private final ResourcePatternResolver resources;

	private final List<Path> copies = new CopyOnWriteArrayList<>();

	ResourceModelResolver(ResourceLoader resources) {
		this.resources = ResourcePatternUtils.getResourcePatternResolver(resources);
	}

	@Override
	public @Nullable Path resolve(String location) {
		if (location.startsWith(ResourceUtils.CLASSPATH_URL_PREFIX)) {
			return ofClassPath(location.endsWith("/") ? location : location + "/");
		}
		if (location.startsWith(ResourceUtils.FILE_URL_PREFIX)) {
			String path = location.substring(ResourceUtils.FILE_URL_PREFIX.length());
			// file:///models/a is a URI, file:models/a a relative path
			return path.startsWith("//") ? ofUri(location, path.substring(2)) : path(path);
		}
		// more than one letter: C: is no scheme
		return location.matches("[a-zA-Z][\\w+.-]+:.*") ? null : path(location);
	}

	/** As Spring's own resources have it: a space may stand there as it is. */
	private static Path ofUri(String location, String path) {
		if (!path.startsWith("/")) {
			throw new InvalidInputException(location, "names a host between its two slashes and the path",
					"write file: and the path, such as file:/models/stories or file:models/stories");
		}
		try {
			return path(URI.create(location.replace(" ", "%20")).getPath());
		}
		catch (IllegalArgumentException ex) {
			return path(path);
		}
	}

	private static Path path(String path) {
		try {
			return Path.of(path);
		}
		catch (InvalidPathException ex) {
			throw new InvalidInputException(path, "is no path (" + ex.getReason() + ")",
					"give the directory of a model", ex);
		}
	}

	private Path ofClassPath(String location) {
		Resource config = this.resources.getResource(location + ModelDirectory.CONFIG);
		if (!config.exists()) {
			throw new InvalidInputException(location, "holds no " + ModelDirectory.CONFIG,
					"give the directory of a model");
		}
		try {
			return config.isFile() ? config.getFile().toPath().resolveSibling("") : copy(location, config);
		}
		catch (IOException ex) {
			throw new InvalidInputException(location, "cannot be copied to a temporary directory (" + ex + ")",
					"check the free space there, or give the model as file:…", ex);
		}
	}

	private Path copy(String location, Resource config) throws IOException {
		String url = config.getURL().toString();
		int rootLength = url.length() - ModelDirectory.CONFIG.length();
		Path copy = Files.createTempDirectory("calm-model-");
		this.copies.add(copy);
		for (Resource resource : this.resources.getResources(location + "**")) {
			String name = resource.getURL().toString().substring(rootLength);
			if (!name.isEmpty() && !name.endsWith("/")) {
				Path target = copy.resolve(name);
				Files.createDirectories(target.resolveSibling(""));
				try (InputStream content = resource.getInputStream()) {
					Files.copy(content, target);
				}
			}
		}
		return copy;
	}

	/** Deletes the copies. */
	@Override
	public void close() throws IOException {
		for (Path copy : this.copies) {
			FileSystemUtils.deleteRecursively(copy);
		}
	}

}

package io.calm.cli.ablate;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Type;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonParseException;
import com.google.gson.reflect.TypeToken;
import io.calm.input.InvalidInputException;

/**
 * What a study has settled and found so far, so that it can go on after an interruption.
 * Every file is written whole or not at all.
 *
 * @param directory of the study
 */
record Notebook(Path directory) {

	private static final Gson GSON = new GsonBuilder().setPrettyPrinting()
		.serializeSpecialFloatingPointValues()
		.create();

	private static final TypeToken<List<Point>> POINTS = new TypeToken<>() {
	};

	private static final TypeToken<Map<String, Map<String, Double>>> CURVES = new TypeToken<>() {
	};

	/**
	 * What was settled at the beginning.
	 *
	 * @param settings that the results depend on
	 * @param steps of each arm
	 */
	record Plan(String settings, Map<String, Long> steps) {
	}

	/** The plan of an earlier call, which must have been for the same settings. */
	Optional<Plan> plan(String settings) {
		Path file = this.directory.resolve("plan.json");
		Optional<Plan> plan = read(file, Plan.class);
		plan.ifPresent((found) -> {
			if (!settings.equals(found.settings())) {
				throw new InvalidInputException(file.toString(),
						"was begun with other settings (" + found.settings() + ", now " + settings + ")",
						"repeat them to go on, or give another output directory");
			}
		});
		return plan;
	}

	void write(Plan plan) {
		write("plan.json", GSON.toJson(plan));
	}

	Optional<List<Point>> points(Arm arm) {
		return read(this.directory.resolve("results").resolve(arm.fileName() + ".json"), POINTS.getType());
	}

	void write(Arm arm, List<Point> points) {
		write("results/" + arm.fileName() + ".json", GSON.toJson(points, POINTS.getType()));
	}

	/** The scores of an arm on its way, by step. */
	Map<String, Map<String, Double>> way(Arm arm) {
		return this.<Map<String, Map<String, Double>>>read(wayOf(arm), CURVES.getType()).orElseGet(LinkedHashMap::new);
	}

	void write(Arm arm, Map<String, Map<String, Double>> way) {
		write("results/" + arm.fileName() + ".way.json", GSON.toJson(way, CURVES.getType()));
	}

	private Path wayOf(Arm arm) {
		return this.directory.resolve("results").resolve(arm.fileName() + ".way.json");
	}

	void write(String name, String content) {
		write(name, content.getBytes(StandardCharsets.UTF_8));
	}

	void write(String name, byte[] content) {
		Path file = this.directory.resolve(name);
		try {
			Files.createDirectories(file.getParent());
			Path beside = file.resolveSibling(file.getFileName() + ".new");
			Files.write(beside, content);
			Files.move(beside, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
		}
		catch (IOException ex) {
			throw new InvalidInputException(file.toString(), "cannot be written (" + ex + ")",
					"check the free space and the permissions there, and start the same study again", ex);
		}
	}

	/** Removes what was only tried. */
	static void delete(Path directory) {
		if (!Files.exists(directory)) {
			return;
		}
		try (Stream<Path> paths = Files.walk(directory)) {
			for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
				Files.delete(path);
			}
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	private <T> Optional<T> read(Path file, Type type) {
		if (!Files.exists(file)) {
			return Optional.empty();
		}
		try {
			return Optional.of(GSON.fromJson(Files.readString(file), type));
		}
		catch (IOException | JsonParseException ex) {
			throw new InvalidInputException(file.toString(), "cannot be read (" + ex.getMessage() + ")",
					"delete it, and that part of the study is done again", ex);
		}
	}

}

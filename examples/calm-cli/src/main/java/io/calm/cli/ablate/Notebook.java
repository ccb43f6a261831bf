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
import java.util.UUID;
import java.util.stream.Stream;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonParseException;
import com.google.gson.reflect.TypeToken;
import io.calm.input.InvalidInputException;
import io.calm.training.Phase;
import io.calm.training.TrainingListener;

/**
 * What a study or a sweep has settled and found so far, so that it can go on after an
 * interruption. Every file is written whole or not at all.
 *
 * @param directory of the study
 */
public record Notebook(Path directory) {

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
	 * @param steps of each model
	 * @param key names the study for MLflow
	 */
	public record Plan(String settings, Map<String, Long> steps, String key) {

		/**
		 * A plan of a new study.
		 * @param settings that the results depend on
		 * @param steps of each model
		 */
		public Plan(String settings, Map<String, Long> steps) {
			this(settings, steps, UUID.randomUUID().toString());
		}

	}

	/**
	 * The plan of an earlier call.
	 * @param settings of this call
	 * @return nothing if there was none
	 * @throws InvalidInputException if that was for other settings
	 */
	public Optional<Plan> plan(String settings) {
		Path file = this.directory.resolve("plan.json");
		Optional<Plan> plan = read(file, Plan.class);
		plan.ifPresent((found) -> {
			if (!settings.equals(found.settings())) {
				throw new InvalidInputException(file.toString(),
						"was begun with other settings (" + found.settings() + ", now " + settings + ")",
						"repeat them to continue, or give another output directory");
			}
		});
		return plan;
	}

	/**
	 * Keeps the plan for later calls.
	 * @param plan of this call
	 */
	public void write(Plan plan) {
		writeJson("plan.json", plan);
	}

	/**
	 * Keeps something found.
	 * @param name of the file
	 * @param value a record
	 */
	public void writeJson(String name, Object value) {
		write(name, GSON.toJson(value));
	}

	/**
	 * Reads something found by an earlier call.
	 * @param name of the file
	 * @param type a record's
	 * @param <T> the same
	 * @return nothing if there is no such file
	 */
	public <T> Optional<T> readJson(String name, Class<T> type) {
		return read(this.directory.resolve(name), type);
	}

	Optional<List<Point>> points(Arm arm) {
		return read(this.directory.resolve("results").resolve(arm.fileName() + ".json"), POINTS.getType());
	}

	void write(Arm arm, List<Point> points) {
		write("results/" + arm.fileName() + ".json", GSON.toJson(points, POINTS.getType()));
	}

	/**
	 * The scores that a model had on its way.
	 * @param model its name as that of a file
	 * @return by step
	 */
	public Map<String, Map<String, Double>> way(String model) {
		return this.<Map<String, Map<String, Double>>>read(this.directory.resolve(wayOf(model)), CURVES.getType())
			.orElseGet(LinkedHashMap::new);
	}

	/**
	 * Keeps the scores of a language model on its way, over interruptions too.
	 * @param model its name as that of a file
	 * @return a listener of its training
	 */
	public TrainingListener keepingWay(String model) {
		return new TrainingListener() {
			@Override
			public void onEvaluation(Phase phase, long step, Map<String, Double> metrics) {
				if (phase != Phase.AUTOENCODER) {
					Map<String, Map<String, Double>> way = way(model);
					way.put(Long.toString(step), metrics);
					write(wayOf(model), GSON.toJson(way, CURVES.getType()));
				}
			}
		};
	}

	private static String wayOf(String model) {
		return "results/" + model + ".way.json";
	}

	/**
	 * Writes a text.
	 * @param name of the file, below the directory
	 * @param content of the file
	 */
	public void write(String name, String content) {
		write(name, content.getBytes(StandardCharsets.UTF_8));
	}

	/**
	 * Writes a file.
	 * @param name of the file, below the directory
	 * @param content of the file
	 */
	public void write(String name, byte[] content) {
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

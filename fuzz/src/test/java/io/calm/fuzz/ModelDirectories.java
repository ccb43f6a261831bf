package io.calm.fuzz;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

import io.calm.generation.GenerationEngine;
import io.calm.graph.ProgramOptions;
import org.tensorflow.TensorFlow;

/** Opens models, and generates with those that open. */
final class ModelDirectories implements Target {

	/** Every model's files, by their paths in it. */
	private final List<Map<String, byte[]>> models = new ArrayList<>();

	ModelDirectories(Path inputs) throws IOException {
		// loading it must not count as the first case's time
		TensorFlow.version();
		try (Stream<Path> directories = Files.list(inputs)) {
			for (Path directory : directories.sorted().toList()) {
				this.models.add(files(directory));
			}
		}
	}

	private static Map<String, byte[]> files(Path directory) throws IOException {
		Map<String, byte[]> files = new TreeMap<>();
		try (Stream<Path> walk = Files.walk(directory)) {
			for (Path file : walk.filter(Files::isRegularFile).toList()) {
				files.put(directory.relativize(file).toString(), Files.readAllBytes(file));
			}
		}
		return files;
	}

	@Override
	public boolean run(Mutator mutator, Path directory) throws IOException {
		Map<String, byte[]> files = new TreeMap<>(mutator.pick(this.models));
		// each file once: what has been broken blindly is no JSON any more
		List<String> whole = new ArrayList<>(files.keySet());
		for (int changes = mutator.percent(70) ? 1 : 2; changes > 0; changes--) {
			String name = mutator.pick(whole);
			whole.remove(name);
			change(files, name, mutator);
		}
		for (Map.Entry<String, byte[]> file : files.entrySet()) {
			Path path = directory.resolve(file.getKey());
			Files.createDirectories(path.getParent());
			Files.write(path, file.getValue());
		}
		try (GenerationEngine engine = GenerationEngine.open(directory,
				(options) -> options.slots(1).context(16).program(ProgramOptions.DEFAULT))) {
			engine.generate("The e", (request) -> request.maxNewTokens(9).candidates(4)).text();
			return true;
		}
	}

	private void change(Map<String, byte[]> files, String name, Mutator mutator) {
		byte[] content = files.getOrDefault(name, new byte[0]);
		if (mutator.percent(3)) {
			files.remove(name);
		}
		else if (mutator.percent(5)) {
			// that of another model, or none at all
			files.put(name, mutator.pick(this.models).getOrDefault(name, new byte[0]));
		}
		else if (name.endsWith(".json")) {
			files.put(name, mutator.json(content));
		}
		else {
			files.put(name, name.endsWith(".safetensors") ? mutator.safetensors(content) : mutator.blind(content));
		}
	}

}

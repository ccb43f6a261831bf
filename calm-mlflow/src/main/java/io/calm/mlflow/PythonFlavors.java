package io.calm.mlflow;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

import io.calm.checkpoint.ModelDirectory;
import io.calm.export.SavedModelExport;
import io.calm.input.InvalidInputException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What makes a model's directory one that MLflow itself opens: {@code MLmodel} with the
 * flavors {@code tensorflow}, a SavedModel, and {@code python_function}, which makes text
 * of text. Most of what is added are tables of positions, because the SavedModel reads
 * the weights from the model's own file.
 */
final class PythonFlavors {

	private static final Logger LOG = LoggerFactory.getLogger(PythonFlavors.class);

	private static final String SAVED_MODEL = "saved_model";

	private static final String LOADER = "code/calm_text.py";

	/** With which the loader was tested. */
	private static final String PYTHON = "3.11.7";

	private static final String REQUIREMENTS = """
			mlflow>=2.14
			numpy>=1.26
			tensorflow>=2.18,<3
			tokenizers>=0.20
			""";

	private static final String TENSORFLOW = """
			flavors:
			  tensorflow:
			    code: code
			    model_type: tf2-module
			    saved_model_dir: saved_model
			""";

	private static final String TEXT = """
			  python_function:
			    code: code
			    env:
			      conda: conda.yaml
			      virtualenv: python_env.yaml
			    loader_module: calm_text
			    python_version: %s
			""".formatted(PYTHON);

	private static final String SIGNATURE = """
			saved_input_example_info:
			  artifact_path: input_example.json
			  pandas_orient: split
			  serving_input_path: serving_input_example.json
			  type: dataframe
			signature:
			  inputs: '[{"type": "string", "name": "prompt", "required": true}]'
			  outputs: '[{"type": "string", "required": true}]'
			  params: '[{"name": "temperature", "type": "double", "default": 1.0, "shape": null},
			    {"name": "seed", "type": "long", "default": 0, "shape": null},
			    {"name": "max_tokens", "type": "long", "default": 128, "shape": null},
			    {"name": "candidates", "type": "long", "default": 200, "shape": null}]'
			""";

	private static final String EXAMPLE = """
			{"columns": ["prompt"], "data": [["Once upon a time"]]}""";

	private PythonFlavors() {
	}

	/**
	 * Writes the files that MLflow asks for.
	 * @param model the model's directory
	 * @param directory an empty one to write to
	 * @return the files by their names beside the model; none, and a warning, if
	 * TensorFlow cannot open the model
	 */
	static Map<String, Path> write(Path model, Path directory) throws IOException {
		List<String> signatures;
		try {
			signatures = SavedModelExport.writeBesideWeights(model, directory.resolve(SAVED_MODEL));
		}
		catch (InvalidInputException ex) {
			LOG.warn("Python cannot use this version, it has no MLmodel: {}", ex.getMessage());
			return Map.of();
		}
		boolean writesText = signatures.stream().anyMatch((name) -> name.startsWith("next_"))
				&& ModelDirectory.open(model).tokenizer().isPresent();
		Files.writeString(directory.resolve("MLmodel"), TENSORFLOW + (writesText ? TEXT : "") + "mlflow_version: "
				+ MlflowRegistry.TESTED_SERVER + "\n" + (writesText ? SIGNATURE : ""));
		Files.writeString(directory.resolve("requirements.txt"), REQUIREMENTS);
		Files.writeString(directory.resolve("python_env.yaml"), """
				python: %s
				build_dependencies:
				- pip
				dependencies:
				- -r requirements.txt
				""".formatted(PYTHON));
		Files.writeString(directory.resolve("conda.yaml"), """
				name: calm
				channels:
				- conda-forge
				dependencies:
				- python=%s
				- pip
				- pip:
				  - -r requirements.txt
				""".formatted(PYTHON));
		if (writesText) {
			Files.writeString(directory.resolve("input_example.json"), EXAMPLE);
			Files.writeString(directory.resolve("serving_input_example.json"),
					"{\"dataframe_split\": " + EXAMPLE + "}");
		}
		Path loader = directory.resolve(LOADER);
		Files.createDirectories(loader.getParent());
		try (InputStream source = PythonFlavors.class.getResourceAsStream("calm_text.py")) {
			if (source == null) {
				throw new IllegalStateException("calm_text.py is missing in the jar of calm-mlflow");
			}
			Files.copy(source, loader);
		}
		Map<String, Path> files = new TreeMap<>();
		try (Stream<Path> walk = Files.walk(directory)) {
			for (Path file : walk.filter(Files::isRegularFile).toList()) {
				files.put(directory.relativize(file).toString().replace(file.getFileSystem().getSeparator(), "/"),
						file);
			}
		}
		return files;
	}

}

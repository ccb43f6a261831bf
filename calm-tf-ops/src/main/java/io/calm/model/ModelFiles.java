package io.calm.model;

import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

import io.calm.checkpoint.Adapter;
import io.calm.checkpoint.ElementType;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.SafetensorsWriter;
import io.calm.checkpoint.TensorEntry;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.LowRank;
import io.calm.graph.Program;
import io.calm.graph.Variable;
import io.calm.input.InvalidInputException;

/**
 * The weights of models under the reference's names.
 */
public final class ModelFiles {

	/** The name of the weights' file. */
	public static final String WEIGHTS = "model.safetensors";

	/** The subdirectory of a language model's autoencoder. */
	public static final String AUTOENCODER = "autoencoder";

	private static final String HEAD = "mlp_generator.";

	private ModelFiles() {
	}

	/**
	 * Sets variables from a file.
	 * @param program that owns the variables
	 * @param variables to set
	 * @param where the tensors came from, for the error
	 * @param weights the tensors
	 * @throws InvalidInputException if a tensor is missing or has another shape
	 */
	public static void load(Program program, List<Variable> variables, Path where, TensorFile weights) {
		load(program, variables, UnaryOperator.identity(), where, weights);
	}

	/**
	 * Sets the autoencoder inside a language model from an autoencoder's own file.
	 * @param program that owns the variables
	 * @param variables the autoencoder's, named as in a language model
	 * @param where the tensors came from, for the error
	 * @param weights the autoencoder's tensors
	 * @throws InvalidInputException if a tensor is missing or has another shape
	 */
	public static void loadAutoencoder(Program program, List<Variable> variables, Path where, TensorFile weights) {
		load(program, variables, (name) -> name.substring(CalmNetwork.AUTOENCODER.length()), where, weights);
	}

	/**
	 * Checks a file against a network that is only declared: sizes that no file of
	 * weights bears out are refused before they cost memory or time.
	 * @param variables the network's parameters
	 * @param where the tensors came from, for the error
	 * @param weights the tensors
	 * @throws InvalidInputException if a tensor is missing, has another shape, or belongs
	 * to a layer that the network has not
	 */
	public static void check(List<Variable> variables, Path where, TensorFile weights) {
		Set<String> known = new HashSet<>();
		Set<String> parts = new HashSet<>();
		for (Variable variable : variables) {
			nameInFile(variable.name(), variable, where, weights);
			known.addAll(namesInFile(variable.name()));
			parts.add(part(variable.name()));
		}
		// fewer layers than were trained would compute something, but nothing of use
		for (String name : weights.entries().keySet()) {
			if (parts.contains(part(name)) && name.matches(".*\\.(weight|bias)") && !known.contains(name)) {
				throw new InvalidInputException(
						where.toString(), "the tensor " + name + " has no place in the model that "
								+ ModelDirectory.CONFIG + " describes",
						"give weights and configuration of the same model");
			}
		}
	}

	private static String part(String parameter) {
		return parameter.substring(0, parameter.indexOf('.') + 1);
	}

	/**
	 * Sets variables from a file that has them under other names.
	 */
	static void load(Program program, List<Variable> variables, UnaryOperator<String> named, Path where,
			TensorFile weights) {
		Map<Variable, String> names = new LinkedHashMap<>();
		for (Variable variable : variables) {
			names.put(variable, nameInFile(named.apply(variable.name()), variable, where, weights));
		}
		program.load(variables,
				(variable, target) -> weights.read(names.getOrDefault(variable, variable.name()), target));
	}

	/**
	 * Writes variables to a file.
	 * @param program that owns the variables
	 * @param variables to write, by their names in the file; several names of one
	 * variable stand together
	 * @param file the safetensors file to create
	 */
	public static void save(Program program, Map<String, Variable> variables, Path file) {
		List<TensorEntry> entries = new ArrayList<>();
		variables.forEach((name, variable) -> entries.add(TensorEntry.of(name, ElementType.F32, variable.shape())));
		Iterator<String> names = variables.keySet().iterator();
		try (SafetensorsWriter writer = SafetensorsWriter.create(file, entries)) {
			program.read(variables.values().stream().distinct().toList(), (variable, values) -> {
				long copies = variables.values().stream().filter(variable::equals).count();
				for (long i = 0; i < copies; i++) {
					writer.write(names.next(), FloatBuffer.wrap(values));
				}
			});
		}
	}

	/**
	 * Writes an adapter of a model.
	 * @param program that owns the variables
	 * @param variables the factors, by the names of the parameters
	 * @param adaptation rank and scale
	 * @param base the directory of the model that it changes
	 * @param target the directory of the adapter
	 */
	public static void saveAdapter(Program program, Map<String, Variable> variables, LowRank adaptation, Path base,
			Path target) {
		Adapter.writeConfig(target, base, adaptation, List.copyOf(variables.keySet()));
		Map<String, Variable> file = new LinkedHashMap<>();
		variables.forEach((name, variable) -> file.put(Adapter.nameInFile(name), variable));
		save(program, file, target.resolve(Adapter.WEIGHTS));
	}

	/**
	 * Adds a parameter under every name that it has in the reference's files.
	 * @param file the file's variables so far
	 * @param parameter the parameter's name
	 * @param variable that holds its value
	 */
	public static void add(Map<String, Variable> file, String parameter, Variable variable) {
		namesInFile(parameter).forEach((name) -> file.put(name, variable));
	}

	/**
	 * The reference writes what it shares twice: the head under both of its names, the
	 * tied embedding as the decoder's matrix too. It re-draws what it does not find.
	 */
	private static List<String> namesInFile(String name) {
		if (name.startsWith(HEAD)) {
			return List.of(name, "generative_head." + name.substring(HEAD.length()));
		}
		if (name.endsWith("encoder.embed_tokens.weight")) {
			return List.of(name, name.replace("encoder.embed_tokens.weight", "decoder.lm_head_weight"));
		}
		return List.of(name);
	}

	/** Where a Llama ties its output to its embedding, only the latter is in the file. */
	private static List<String> sourcesInFile(String name) {
		return name.equals("lm_head.weight") ? List.of(name, "model.embed_tokens.weight") : namesInFile(name);
	}

	/**
	 * The name under which a file has a parameter.
	 * @param parameter of a network that {@link #check} has found to fit the file
	 * @param where the tensors came from, for the error
	 * @param weights the tensors
	 * @return the name
	 * @throws InvalidInputException if the tensor is missing or has another shape
	 */
	public static String nameInFile(Variable parameter, Path where, TensorFile weights) {
		return nameInFile(parameter.name(), parameter, where, weights);
	}

	private static String nameInFile(String parameter, Variable variable, Path where, TensorFile weights) {
		for (String name : sourcesInFile(parameter)) {
			TensorEntry entry = weights.entries().get(name);
			if (entry != null) {
				List<Long> shape = Arrays.stream(variable.shape()).boxed().toList();
				if (!entry.shape().equals(shape)) {
					throw new InvalidInputException(
							where.toString(), "the tensor " + name + " has the shape " + entry.shape() + " where "
									+ ModelDirectory.CONFIG + " asks for " + shape,
							"give weights and configuration of the same model");
				}
				return name;
			}
		}
		throw new InvalidInputException(where.toString(), "the tensor " + parameter + " is missing",
				"give weights and configuration of the same model");
	}

}

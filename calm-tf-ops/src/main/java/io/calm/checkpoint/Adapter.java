package io.calm.checkpoint;

import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

import com.google.gson.JsonObject;
import io.calm.graph.LowRank;

/**
 * A low-rank adaptation in the layout of Hugging Face's PEFT: {@code adapter_config.json}
 * and {@code adapter_model.safetensors}. It changes the weights of a base model, which
 * lies elsewhere.
 */
public final class Adapter {

	static final String CONFIG = "adapter_config.json";

	/** The name of the file with the factors. */
	public static final String WEIGHTS = "adapter_model.safetensors";

	/** What PEFT puts before the names of the base's modules. */
	private static final String PREFIX = "base_model.model.";

	private static final String BASE = "base_model_name_or_path";

	private static final int LARGEST = 1 << 20;

	/**
	 * Settings that do not say what is computed, or are read elsewhere. Of all others, a
	 * value may change it.
	 */
	private static final Set<String> HARMLESS = Set.of(BASE, "auto_mapping", "ensure_weight_tying", "eva_config",
			"exclude_modules", "inference_mode", "layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout",
			"megatron_core", "peft_version", "qalora_group_size", "r", "revision", "runtime_config", "target_modules",
			"task_type", "use_rslora");

	/** Values of the others that change nothing. */
	private static final Map<String, Set<String>> PLAIN = Map.of("peft_type", Set.of("\"LORA\""), "bias",
			Set.of("\"none\""), "init_lora_weights", Set.of("true", "\"gaussian\"", "\"orthogonal\""));

	private static final Set<String> NOTHING = Set.of("null", "false", "[]", "{}");

	private final Path directory;

	private Adapter(Path directory) {
		this.directory = directory;
	}

	/** Whether a directory has the files of one. */
	static boolean isIn(Path directory) {
		return Files.isRegularFile(directory.resolve(CONFIG)) && Files.isRegularFile(directory.resolve(WEIGHTS));
	}

	static Adapter of(Path directory) {
		return new Adapter(directory);
	}

	/**
	 * The name under which the adapter's file has a factor.
	 * @param parameter its name in the network
	 * @return the name
	 */
	public static String nameInFile(String parameter) {
		return PREFIX + parameter;
	}

	/**
	 * Writes the configuration.
	 * @param directory of the adapter
	 * @param base the directory of the model that it changes
	 * @param adaptation rank and scale
	 * @param parameters the names of its factors in the network
	 */
	public static void writeConfig(Path directory, Path base, LowRank adaptation, List<String> parameters) {
		Map<String, Object> config = new LinkedHashMap<>();
		config.put("peft_type", "LORA");
		config.put("task_type", "CAUSAL_LM");
		config.put(BASE, base.toAbsolutePath().normalize().toString());
		config.put("r", adaptation.rank());
		config.put("lora_alpha", adaptation.alpha());
		config.put("lora_dropout", 0.0);
		config.put("target_modules", new TreeSet<>(parameters.stream().map(Adapter::module).toList()));
		config.put("bias", "none");
		config.put("fan_in_fan_out", false);
		config.put("use_rslora", false);
		config.put("use_dora", false);
		config.put("inference_mode", true);
		ConfigFile.write(directory.resolve(CONFIG), config);
	}

	/** The last part of the name of a map that a factor belongs to. */
	private static String module(String parameter) {
		String map = parameter.substring(0, parameter.length() - LowRank.DOWN.length());
		return map.substring(map.lastIndexOf('.') + 1);
	}

	/** The model whose weights it changes. */
	ModelDirectory base() {
		Path file = this.directory.resolve(CONFIG);
		String given = ConfigFile.read(file).text(BASE);
		Path base = baseIn(given).orElseThrow(
				() -> OpenFile.invalid(file, "names the base " + OpenFile.shown(given) + ", which is no directory",
						"put the base there, or write the path of its directory into " + BASE));
		if (Adapter.isIn(base)) {
			throw OpenFile.invalid(file, "names the base " + base + ", which is an adapter itself",
					"merge that with its own base first, with 'calm merge'");
		}
		return ModelDirectory.open(base);
	}

	/**
	 * PEFT writes the path as it was given in Python; it may also begin at the adapter.
	 */
	private Optional<Path> baseIn(String given) {
		try {
			return Stream.of(Path.of(given), this.directory.resolve(given)).filter(Files::isDirectory).findFirst();
		}
		catch (InvalidPathException ex) {
			return Optional.empty();
		}
	}

	/**
	 * The base's weights as the adapter changes them.
	 * @return the open files, which the caller closes
	 */
	TensorFile weights() {
		float scale = scale();
		TensorFile weights = base().weights();
		try {
			OpenFile file = OpenFile.open(this.directory.resolve(WEIGHTS));
			weights.keepOpen(file);
			Map<String, StoredTensor> parts = new LinkedHashMap<>();
			SafetensorsHeader.read(file, new LinkedHashMap<>()).forEach((part) -> parts.put(part.entry().name(), part));
			for (String name : parts.keySet()) {
				if (name.endsWith(LowRank.DOWN)) {
					change(weights, file, parts, name.substring(0, name.length() - LowRank.DOWN.length()), scale);
				}
				else if (!name.endsWith(LowRank.UP) || !parts.containsKey(name.replace(LowRank.UP, LowRank.DOWN))) {
					throw file.invalid("has the tensor " + OpenFile.shown(name) + ", which is no part of a product",
							"give an adapter of linear maps alone");
				}
			}
			return weights;
		}
		catch (RuntimeException | Error ex) {
			weights.close();
			throw ex;
		}
	}

	private static void change(TensorFile weights, OpenFile file, Map<String, StoredTensor> parts, String map,
			float scale) {
		String changed = map.startsWith(PREFIX) ? map.substring(PREFIX.length()) + ".weight" : map;
		TensorEntry entry = weights.entries().get(changed);
		StoredTensor up = parts.get(map + LowRank.UP);
		StoredTensor down = parts.get(map + LowRank.DOWN);
		if (up != null && down != null && !(up.entry().type().floating() && down.entry().type().floating())) {
			throw file.invalid("has integers in the product for " + OpenFile.shown(changed),
					"give an adapter of floating-point numbers");
		}
		if (entry == null || up == null || down == null || entry.shape().size() != 2 || up.entry().shape().size() != 2
				|| down.entry().shape().size() != 2 || !up.entry().shape().get(0).equals(entry.shape().get(0))
				|| !down.entry().shape().get(1).equals(entry.shape().get(1))
				|| !up.entry().shape().get(1).equals(down.entry().shape().get(0))) {
			throw file.invalid("changes " + OpenFile.shown(changed) + ", which its base does not have in that shape",
					"give the base that it was trained on");
		}
		weights.change(changed, new Change(down, up, scale));
	}

	/** What the products are multiplied with; a setting that is not known is refused. */
	private float scale() {
		Path file = this.directory.resolve(CONFIG);
		JsonObject json = ConfigFile.readJson(file, LARGEST);
		json.asMap().forEach((key, value) -> {
			String given = value.toString();
			if (!HARMLESS.contains(key) && !NOTHING.contains(given)
					&& !PLAIN.getOrDefault(key, Set.of()).contains(given)) {
				throw OpenFile.invalid(file,
						"'" + key + "' = " + OpenFile.shown(given) + " is not supported and would give wrong texts",
						"merge the adapter with its base in Python");
			}
		});
		ConfigFile config = ConfigFile.read(file);
		int rank = config.integer("r", 1, LARGEST);
		double alpha = config.number("lora_alpha");
		return (float) (alpha / (config.flag("use_rslora", false) ? Math.sqrt(rank) : rank));
	}

	/**
	 * What is added to the weights of a linear map.
	 *
	 * @param down A {@code [r, in]}
	 * @param up B {@code [out, r]}
	 * @param scale of their product
	 */
	record Change(StoredTensor down, StoredTensor up, float scale) {

		/**
		 * Adds {@code scale·B·A}.
		 * @param weights {@code [out, in]}, all of them, from its beginning on
		 */
		void addTo(FloatBuffer weights) {
			int rank = this.down.entry().shape().get(0).intValue();
			int in = this.down.entry().shape().get(1).intValue();
			int out = this.up.entry().shape().get(0).intValue();
			float[] a = TensorFile.floats(this.down);
			float[] b = TensorFile.floats(this.up);
			float[] row = new float[in];
			for (int o = 0; o < out; o++) {
				Arrays.fill(row, 0);
				for (int r = 0; r < rank; r++) {
					float factor = this.scale * b[o * rank + r];
					for (int i = 0; i < in; i++) {
						row[i] += factor * a[r * in + i];
					}
				}
				for (int i = 0; i < in; i++) {
					weights.put(o * in + i, weights.get(o * in + i) + row[i]);
				}
			}
		}

	}

}

package io.calm.checkpoint;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Stream;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The directory of a model, as the reference and Hugging Face lay it out:
 * {@code config.json}; the weights as {@code model.safetensors}, else
 * {@code pytorch_model.bin}, either of them also in parts with an index; perhaps
 * {@code tokenizer.json} and the directory {@code autoencoder}. Or that of an adapter
 * (LoRA) in the layout of PEFT, which is opened as its base with changed weights.
 */
public final class ModelDirectory {

	private static final Logger LOG = LoggerFactory.getLogger(ModelDirectory.class);

	/** The name of the configuration's file. */
	public static final String CONFIG = "config.json";

	private static final String INDEX = ".index.json";

	private static final int LARGEST_INDEX = 4 << 20;

	/** Of a reader and a writer that get in each other's way; each takes microseconds. */
	private static final int MOST_ATTEMPTS = 100;

	/** In the order of preference. */
	private static final List<String> WEIGHTS = List.of("model.safetensors", "model.safetensors" + INDEX,
			"pytorch_model.bin", "pytorch_model.bin" + INDEX, Adapter.WEIGHTS);

	private static final List<String> TOKENIZER = List.of("tokenizer.json", "tokenizer_config.json");

	private static final List<String> BESIDE_WEIGHTS = List.of(CONFIG, "generation_config.json", "tokenizer.json",
			"tokenizer_config.json");

	private static final String AUTOENCODER = "autoencoder";

	private final Path path;

	private final Path weights;

	/** What an adapter changes; null for a model of its own. */
	private final @Nullable ModelDirectory base;

	private ModelDirectory(Path path, Path weights, @Nullable ModelDirectory base) {
		this.path = path;
		this.weights = weights;
		this.base = base;
	}

	/**
	 * Opens a directory. If a crash has interrupted {@link #write} at the one moment at
	 * which the directory is missing, it is put back first.
	 * @param path the directory of a model
	 * @return the directory, in which the configuration and weights exist but have not
	 * been read
	 * @throws InvalidInputException if there is no such directory, or it lacks
	 * configuration or weights
	 */
	public static ModelDirectory open(Path path) {
		for (int attempt = 1;; attempt++) {
			try {
				return openAtOnce(path);
			}
			catch (InvalidInputException ex) {
				// a writer in another process may have been between its two renames
				if (attempt == MOST_ATTEMPTS) {
					throw ex;
				}
			}
		}
	}

	/**
	 * Whether there is a directory to go on from. If a crash has interrupted
	 * {@link #write} at the one moment at which it is missing, it is put back first.
	 * @param path the directory of a model, or of none yet
	 * @return whether it exists, with whatever in it
	 * @throws InvalidInputException if it cannot be put back
	 */
	public static boolean exists(Path path) {
		try {
			recover(followed(path));
		}
		catch (IOException ex) {
			throw OpenFile.unreadable(path, ex);
		}
		return Files.isDirectory(path);
	}

	private static ModelDirectory openAtOnce(Path path) {
		if (!exists(path)) {
			throw OpenFile.invalid(path, Files.exists(path) ? "is not a directory" : "does not exist",
					"give the directory of a model, which holds " + CONFIG);
		}
		Optional<Path> weights = findWeights(path);
		if (weights.isPresent() && isOfAdapter(weights.get())) {
			return new ModelDirectory(path, weights.get(), Adapter.of(path).base());
		}
		if (!Files.isRegularFile(path.resolve(CONFIG))) {
			throw OpenFile.invalid(path, "holds no " + CONFIG, "give the directory of a model");
		}
		return new ModelDirectory(path, weights.orElseThrow(
				() -> OpenFile.invalid(path, "holds no weights: none of " + WEIGHTS, "download or copy it again")),
				null);
	}

	private static boolean isOfAdapter(Path weights) {
		return weights.endsWith(Adapter.WEIGHTS);
	}

	private static Optional<Path> findWeights(Path path) {
		return WEIGHTS.stream().map(path::resolve).filter(Files::isRegularFile).findFirst();
	}

	/**
	 * The path of this directory.
	 * @return the path, as it was given
	 */
	public Path path() {
		return this.path;
	}

	/**
	 * The model whose weights an adapter changes.
	 * @return the directory; none if this is a model of its own
	 */
	public Optional<ModelDirectory> base() {
		return Optional.ofNullable(this.base);
	}

	/**
	 * Reads {@code config.json}.
	 * @return the settings
	 * @throws InvalidInputException if it cannot be read
	 */
	public ConfigFile config() {
		Path own = this.path.resolve(CONFIG);
		return (this.base != null && !Files.isRegularFile(own)) ? this.base.config() : ConfigFile.read(own);
	}

	/**
	 * Opens the weights; those in several parts appear as one file.
	 * @return the open file, which the caller closes
	 * @throws InvalidInputException if they are damaged
	 */
	public TensorFile weights() {
		if (this.base != null) {
			return Adapter.of(this.path).weights();
		}
		if (!this.weights.toString().endsWith(INDEX)) {
			return TensorFile.open(this.weights);
		}
		Map<String, String> parts = parts();
		TensorFile file = TensorFile.open(new TreeSet<>(parts.values()).stream().map(this.path::resolve).toList());
		for (String tensor : parts.keySet()) {
			if (!file.entries().containsKey(tensor)) {
				file.close();
				throw OpenFile.invalid(this.weights,
						"lists the tensor " + OpenFile.shown(tensor) + ", which is in none of the parts",
						"download the directory again");
			}
		}
		return file;
	}

	/** The part in which each tensor is. */
	private Map<String, String> parts() {
		JsonObject index = ConfigFile.readJson(this.weights, LARGEST_INDEX);
		if (!(index.get("weight_map") instanceof JsonObject map) || map.isEmpty()) {
			throw OpenFile.invalid(this.weights, "has no 'weight_map'", "download the directory again");
		}
		String name = this.weights.getFileName().toString();
		String extension = name.substring(name.indexOf('.'), name.length() - INDEX.length());
		Map<String, String> parts = new LinkedHashMap<>();
		for (Map.Entry<String, JsonElement> entry : map.entrySet()) {
			JsonElement part = entry.getValue();
			// without a slash or two dots it cannot lead out of the directory
			if (!part.isJsonPrimitive() || !part.getAsString().matches("[\\w.-]+") || part.getAsString().contains("..")
					|| !part.getAsString().endsWith(extension)) {
				throw OpenFile.invalid(this.weights,
						"names " + OpenFile.shown(part.toString()) + ", which is no part of these weights",
						"do not use it unless you trust its source");
			}
			parts.put(entry.getKey(), part.getAsString());
		}
		return parts;
	}

	/**
	 * The tokenizer that belongs to the model.
	 * @return the path of {@code tokenizer.json}, if there is one
	 */
	public Optional<Path> tokenizer() {
		return Optional.of(this.path.resolve("tokenizer.json"))
			.filter(Files::isRegularFile)
			.or(() -> base().flatMap(ModelDirectory::tokenizer));
	}

	/**
	 * The tokenizer of a model that is to read or write text.
	 * @return the path of {@code tokenizer.json}
	 * @throws InvalidInputException if there is none
	 */
	public Path requiredTokenizer() {
		return tokenizer().orElseThrow(() -> new InvalidInputException(this.path.toString(), "has no tokenizer.json",
				"copy the one that the model was trained with into the directory"));
	}

	/**
	 * The autoencoder that belongs to a language model.
	 * @return the directory {@code autoencoder}, if there is one
	 * @throws InvalidInputException if it lacks configuration or weights
	 */
	public Optional<ModelDirectory> autoencoder() {
		return Optional.of(this.path.resolve(AUTOENCODER))
			.filter(Files::isDirectory)
			.map(ModelDirectory::open)
			.or(() -> base().flatMap(ModelDirectory::autoencoder));
	}

	/**
	 * Copies the model, and nothing that may lie beside it: configuration, weights in
	 * whatever form and however many parts, and the tokenizer if there is one. An
	 * autoencoder is a model of its own.
	 * @param target the directory to copy to, made if need be
	 * @throws InvalidInputException if something cannot be read or written
	 */
	public void copyTo(Path target) {
		try {
			Files.createDirectories(target);
			for (String file : files()) {
				Files.copy(this.path.resolve(file), target.resolve(file));
			}
		}
		catch (IOException ex) {
			throw new InvalidInputException(target.toString(), "cannot be written from " + this.path + " (" + ex + ")",
					"check the free space and the permissions there, and start the same training again", ex);
		}
	}

	private Set<String> files() {
		Set<String> files = new TreeSet<>(List.of(this.weights.getFileName().toString()));
		if (this.base != null) {
			files.add(Adapter.CONFIG);
		}
		if (this.base == null || Files.exists(this.path.resolve(CONFIG))) {
			files.add(CONFIG);
		}
		if (this.weights.toString().endsWith(INDEX)) {
			files.addAll(parts().values());
		}
		for (String file : TOKENIZER) {
			if (Files.exists(this.path.resolve(file))) {
				files.add(file);
			}
		}
		return files;
	}

	/**
	 * Copies the base of an adapter as the adapter changes it, with its autoencoder: a
	 * model of its own, in fp32.
	 * @param target the directory to copy to, made if need be
	 * @throws InvalidInputException if this is no adapter, or something cannot be read or
	 * written
	 */
	public void mergeTo(Path target) {
		ModelDirectory base = base().orElseThrow(() -> OpenFile.invalid(this.path, "is no adapter",
				"give a directory with " + Adapter.CONFIG + " and " + Adapter.WEIGHTS));
		try {
			Files.createDirectories(target);
			for (String file : BESIDE_WEIGHTS) {
				Path own = this.path.resolve(file);
				Path source = Files.isRegularFile(own) ? own : base.path.resolve(file);
				if (Files.isRegularFile(source)) {
					Files.copy(source, target.resolve(file));
				}
			}
		}
		catch (IOException ex) {
			throw OpenFile.unwritable(target, ex);
		}
		try (TensorFile weights = weights()) {
			List<TensorEntry> entries = weights.entries()
				.values()
				.stream()
				.filter((entry) -> entry.type().floating())
				.map((entry) -> new TensorEntry(entry.name(), ElementType.F32, entry.shape()))
				.toList();
			try (SafetensorsWriter writer = SafetensorsWriter.create(target.resolve(WEIGHTS.get(0)), entries)) {
				entries
					.forEach((entry) -> writer.write(entry.name(), FloatBuffer.wrap(weights.readFloats(entry.name()))));
			}
		}
		autoencoder().ifPresent((autoencoder) -> autoencoder.copyTo(target.resolve(AUTOENCODER)));
	}

	/**
	 * Writes a directory so that at any time, whatever crashes, either the old or the new
	 * one is there, complete. The new one is written beside the target under a temporary
	 * name, brought to the disk, and renamed; the old one is then deleted, with
	 * <em>everything</em> in it. Between two renames, for a moment, the old one has the
	 * name {@code .<name>.previous}; {@link #open} and this method put it back if a crash
	 * falls into that moment. One writer at a time.
	 * @param target the directory to write or replace; its parents are made
	 * @param content writes the files of the model into the directory that it is given;
	 * if it throws, what it wrote is deleted, the old directory stays as it was, and the
	 * exception goes on
	 * @throws InvalidInputException if the target exists but is neither empty nor a
	 * model, or the disk fails or is full; the old directory stays as it was
	 * @throws IllegalStateException if there is no {@code config.json} or no weights in
	 * what {@code content} wrote; the old directory stays as it was
	 */
	public static void write(Path target, Consumer<Path> content) {
		try {
			replace(target, content);
		}
		catch (IOException ex) {
			throw OpenFile.unwritable(target, ex);
		}
	}

	private static void replace(Path given, Consumer<Path> content) throws IOException {
		Path target = followed(given);
		recover(target);
		checkReplaceable(given, target);
		Path parent = parent(target);
		createDirectories(parent);
		deleteLeftovers(target);
		// not createTempDirectory, whose result only the owner can read
		Path temporary = Files.createDirectory(temporary(target));
		try {
			content.accept(temporary);
			if (!isModel(temporary)) {
				throw new IllegalStateException("the new content of " + given + " lacks " + CONFIG + " or weights");
			}
			force(temporary);
			swap(temporary, target);
		}
		catch (IOException | RuntimeException | Error ex) {
			deleteQuietly(temporary);
			throw ex;
		}
		forceOne(parent);
		deletePrevious(target);
	}

	/**
	 * A directory that is new is known after a crash only if its parent is on the disk.
	 */
	static void createDirectories(Path directory) throws IOException {
		Path parent = directory.getParent();
		if (parent != null && !Files.exists(directory)) {
			createDirectories(parent);
			Files.createDirectories(directory);
			forceOne(parent);
		}
	}

	private static void swap(Path temporary, Path target) throws IOException {
		Path previous = sibling(target, "previous");
		for (int attempt = 1;; attempt++) {
			if (Files.exists(target)) {
				deletePrevious(target);
				Files.move(target, previous, StandardCopyOption.ATOMIC_MOVE);
			}
			try {
				Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
				return;
			}
			catch (IOException ex) {
				recover(target);
				// a reader that came between the two renames has put the old one back
				if (attempt == MOST_ATTEMPTS) {
					throw ex;
				}
			}
		}
	}

	private static void recover(Path target) throws IOException {
		Path previous = sibling(target, "previous");
		if (Files.isDirectory(previous) && !Files.exists(target)) {
			try {
				Files.move(previous, target, StandardCopyOption.ATOMIC_MOVE);
				LOG.warn("Put back {}: writing its successor was interrupted", target);
			}
			catch (IOException ex) {
				// another process may have been faster
				if (!Files.exists(target)) {
					throw ex;
				}
			}
		}
	}

	/** It will be deleted: let it not be somebody's home directory. */
	private static void checkReplaceable(Path given, Path target) throws IOException {
		if (!Files.exists(target)) {
			return;
		}
		if (!Files.isDirectory(target)) {
			throw OpenFile.invalid(given, "is not a directory", "choose another place for the model");
		}
		try (Stream<Path> files = Files.list(target)) {
			if (!isModel(target) && files.findAny().isPresent()) {
				throw OpenFile.invalid(given, "holds something other than a model, which would be deleted",
						"choose another directory or empty it");
			}
		}
	}

	private static boolean isModel(Path path) {
		return Files.isRegularFile(path.resolve(CONFIG)) && findWeights(path).isPresent();
	}

	/** Under another name first: one that is half deleted must never be put back. */
	private static void deletePrevious(Path target) throws IOException {
		Path previous = sibling(target, "previous");
		if (Files.exists(previous)) {
			deleteQuietly(Files.move(previous, temporary(target), StandardCopyOption.ATOMIC_MOVE));
		}
	}

	/** What writers that were killed left behind. */
	private static void deleteLeftovers(Path target) throws IOException {
		String prefix = sibling(target, "tmp-").getFileName().toString();
		try (Stream<Path> siblings = Files.list(parent(target))) {
			siblings.filter((path) -> {
				String name = path.getFileName().toString();
				return name.startsWith(prefix) && name.substring(prefix.length()).matches("[0-9a-f]{16}");
			}).forEach(ModelDirectory::deleteQuietly);
		}
	}

	/** Where a path leads: a rename would replace a link, not what it leads to. */
	private static Path followed(Path path) throws IOException {
		Path absolute = path.toAbsolutePath().normalize();
		return Files.isSymbolicLink(absolute) ? absolute.resolveSibling(Files.readSymbolicLink(absolute)).normalize()
				: absolute;
	}

	private static Path parent(Path target) throws IOException {
		Path parent = target.getParent();
		if (parent == null) {
			throw new IOException("it is the root of a file system");
		}
		return parent;
	}

	private static Path sibling(Path target, String suffix) {
		return target.resolveSibling("." + target.getFileName() + "." + suffix);
	}

	private static Path temporary(Path target) {
		return sibling(target, String.format("tmp-%016x", new SecureRandom().nextLong()));
	}

	/** Brings a directory and all in it to the disk; a rename alone does not. */
	private static void force(Path directory) throws IOException {
		try (Stream<Path> paths = Files.walk(directory)) {
			for (Path path : (Iterable<Path>) paths::iterator) {
				if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS) || Files.isRegularFile(path)) {
					forceOne(path);
				}
			}
		}
	}

	private static void forceOne(Path path) throws IOException {
		try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
			channel.force(true);
		}
	}

	private static void deleteQuietly(Path directory) {
		try {
			delete(directory);
		}
		catch (IOException ex) {
			LOG.warn("Cannot delete {}, delete it by hand: {}", directory, ex.toString());
		}
	}

	private static void delete(Path directory) throws IOException {
		if (!Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
			return;
		}
		// follows no links; a directory sorts before what it holds
		try (Stream<Path> paths = Files.walk(directory)) {
			for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
				Files.delete(path);
			}
		}
	}

}

package io.calm.export;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Device;
import io.calm.graph.Precision;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.graph.SavedModelGraph;
import io.calm.graph.Signature;
import io.calm.graph.VariableSource;
import io.calm.input.InvalidInputException;
import io.calm.model.ModelFiles;
import org.tensorflow.exceptions.TensorFlowException;

/**
 * Writes a model as a SavedModel, which TensorFlow opens in every language, without this
 * library. Sizes of batches and texts are open; numbers are fp32.
 * <table>
 * <caption>Signatures</caption>
 * <tr>
 * <th>name</th>
 * <th>inputs</th>
 * <th>outputs</th>
 * </tr>
 * <tr>
 * <td>{@code encode}</td>
 * <td>{@code tokens} int32 {@code [B, P·K]}</td>
 * <td>{@code mean}, {@code log_deviation} float32 {@code [B, P, l]}</td>
 * </tr>
 * <tr>
 * <td>{@code decode}</td>
 * <td>{@code latents} float32 {@code [B, P, l]}</td>
 * <td>{@code tokens} int32 {@code [B, P·K]}</td>
 * </tr>
 * <tr>
 * <td>{@code next_patches}</td>
 * <td>{@code tokens} int32 {@code [B, P·K]}, {@code noise} float32
 * {@code [B, N, size]}</td>
 * <td>{@code patches} int32 {@code [B, N, K]}</td>
 * </tr>
 * <tr>
 * <td>{@code next_patches_seeded}</td>
 * <td>{@code tokens} int32 {@code [B, P·K]}, {@code seed} int64 {@code [2]},
 * {@code draws} int32, N</td>
 * <td>{@code patches} int32 {@code [B, N, K]}</td>
 * </tr>
 * <tr>
 * <td>{@code next_tokens}</td>
 * <td>{@code tokens} int32 {@code [B, S]}</td>
 * <td>{@code logits} float32 {@code [B, V]}</td>
 * </tr>
 * </table>
 * Autoencoders have the first two, CALM models the first four, and the baseline has the
 * last.
 */
public final class SavedModelExport {

	/** The directory in a SavedModel for what TensorFlow does not read. */
	private static final String EXTRA = "assets.extra";

	private static final ProgramOptions FP32 = new ProgramOptions(Device.CPU, Precision.FP32, false);

	private SavedModelExport() {
	}

	/**
	 * Writes a SavedModel that needs nothing beside itself: graph, weights, and in
	 * {@code assets.extra} the model's configuration and tokenizer.
	 * @param model the directory of an autoencoder, a CALM model or a baseline
	 * @param target the directory to write, which does not exist or is empty; nothing is
	 * left of it if this fails
	 * @return the names of the signatures
	 * @throws InvalidInputException if the model cannot be read, or the target holds
	 * something or cannot be written
	 */
	public static List<String> write(Path model, Path target) {
		ModelDirectory directory = ModelDirectory.open(model);
		try (TensorFile weights = directory.weights(); ProgramBuilder builder = new ProgramBuilder(FP32)) {
			List<Signature> signatures = declare(builder, directory, weights);
			SavedModelGraph graph = builder.savedModel(signatures, VariableSource.BUNDLE);
			try (Program program = builder.build()) {
				ModelFiles.load(program, program.variables((name) -> true), model, weights);
				replace(target, (temporary) -> {
					Files.createDirectory(temporary.resolve("variables"));
					program.save(graph, temporary);
					graph.write(temporary);
					Path extra = Files.createDirectory(temporary.resolve(EXTRA));
					for (Path file : extras(directory)) {
						Files.copy(file, extra.resolve(file.getFileName()));
					}
				});
			}
			return signatures.stream().map(Signature::name).toList();
		}
	}

	/**
	 * Writes a SavedModel without weights, for a place inside the model's directory: when
	 * TensorFlow loads it, it reads the weights from the model's own files, so that they
	 * are not stored twice. It can be moved together with that directory only.
	 * @param model the directory of an autoencoder, a CALM model or a baseline
	 * @param target the directory to write, which does not exist or is empty; it is later
	 * to lie in the model's directory, under any name
	 * @return the names of the signatures
	 * @throws InvalidInputException if the model cannot be read, or TensorFlow could not
	 * read its weights, or the target holds something or cannot be written
	 */
	public static List<String> writeBesideWeights(Path model, Path target) {
		ModelDirectory directory = ModelDirectory.open(model);
		try (TensorFile weights = directory.weights(); ProgramBuilder builder = new ProgramBuilder(FP32)) {
			List<Signature> signatures = declare(builder, directory, weights);
			SavedModelGraph graph = builder.savedModel(signatures, new StoredWeights(model, weights));
			replace(target, graph::write);
			return signatures.stream().map(Signature::name).toList();
		}
	}

	private static List<Signature> declare(ProgramBuilder builder, ModelDirectory model, TensorFile weights) {
		List<Signature> signatures = Signatures.of(builder, model, weights);
		ModelFiles.check(builder.network().variables().select((name) -> true), model.path(), weights);
		return signatures;
	}

	private static List<Path> extras(ModelDirectory model) {
		List<Path> files = new ArrayList<>(List.of(model.path().resolve(ModelDirectory.CONFIG)));
		model.tokenizer().ifPresent(files::add);
		return files;
	}

	/** Writes beside the target first, so that nothing is half there. */
	private static void replace(Path target, Content content) {
		Path absolute = target.toAbsolutePath().normalize();
		Path temporary = absolute.resolveSibling("." + absolute.getFileName() + "." + UUID.randomUUID());
		try {
			if (Files.exists(absolute, LinkOption.NOFOLLOW_LINKS) && !isEmptyDirectory(absolute)) {
				throw new InvalidInputException(target.toString(), "is not an empty directory",
						"choose another one, or delete what is there");
			}
			Files.createDirectories(temporary);
			try {
				content.write(temporary);
				Files.move(temporary, absolute, StandardCopyOption.ATOMIC_MOVE);
			}
			finally {
				delete(temporary);
			}
		}
		catch (IOException | TensorFlowException ex) {
			throw new InvalidInputException(target.toString(), "cannot be written (" + ex + ")",
					"check the free space and the permissions there", ex);
		}
	}

	private static boolean isEmptyDirectory(Path path) throws IOException {
		if (!Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
			return false;
		}
		try (Stream<Path> content = Files.list(path)) {
			return content.findAny().isEmpty();
		}
	}

	private static void delete(Path directory) throws IOException {
		if (Files.exists(directory)) {
			try (Stream<Path> paths = Files.walk(directory)) {
				for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
					Files.delete(path);
				}
			}
		}
	}

	/** Writes the files of a directory. */
	private interface Content {

		void write(Path directory) throws IOException;

	}

}

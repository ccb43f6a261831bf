package io.calm.cli;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;

import com.google.gson.Gson;
import io.calm.input.InputFile;
import io.calm.input.InvalidInputException;
import io.calm.latent.LatentEncoder;
import io.calm.latent.Latents;
import io.calm.latent.Reconstruction;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Shows a text as its autoencoder sees it. */
@Command(name = "encode",
		description = "Show what the autoencoder makes of a text: how many tokens it reconstructs, which ones it does "
				+ "not, and the latent vectors of the patches.")
final class EncodeCommand extends Subcommand {

	/** Vectors take a thousand times the memory of their text. */
	private static final int MOST_BYTES = 1_000_000;

	private static final int MOST_SHOWN = 20;

	@Parameters(paramLabel = "DIR", description = "The directory of a model or of an autoencoder.")
	private Path directory = Path.of("model");

	@ArgGroup(multiplicity = "1")
	private Source source = new Source();

	@Option(names = "--output", paramLabel = "FILE",
			description = "New file for the vectors: a JSON object for each patch, with its tokens, text, mean and"
					+ " deviation (default: none).")
	private @Nullable Path output;

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	/** Where the text is. */
	static final class Source {

		@Option(names = "--text", required = true, description = "The text.")
		private @Nullable String text;

		@Option(names = "--file", required = true, paramLabel = "FILE", description = "File with the text, as UTF-8.")
		private @Nullable Path file;

		String read() {
			if (this.text != null) {
				return this.text;
			}
			Path path = (this.file != null) ? this.file : Path.of("");
			return InputFile.text(path, MOST_BYTES,
					"shorten it; calm evaluate tells of a whole corpus how many tokens come back");
		}

	}

	@Override
	Report run() {
		String text = this.source.read();
		try (LatentEncoder encoder = LatentEncoder.open(this.directory, this.compute.evaluation())) {
			Reconstruction reconstruction = encoder.reconstruct(text);
			Latents latents = encoder.encode(text);
			if (this.output != null) {
				write(this.output, latents, encoder.texts(latents));
			}
			return new Report().put("tokens", reconstruction.tokens())
				.put("patches", latents.patches())
				.put("latentSize", encoder.latentSize())
				.put("accuracy", reconstruction.accuracy())
				.put("differences", differences(reconstruction.differences()));
		}
	}

	/** The first ones, by their position. */
	private static Report differences(List<Reconstruction.Difference> differences) {
		Report report = new Report().put("count", differences.size());
		differences.stream()
			.limit(MOST_SHOWN)
			.forEach((each) -> report.put(Integer.toString(each.position()),
					"'" + each.token() + "' became '" + each.restored() + "'"));
		return report;
	}

	/** A patch in the file. */
	private record Line(List<Integer> tokens, String text, float[] mean, float[] deviation) {
	}

	private static void write(Path file, Latents latents, List<String> texts) {
		Gson gson = new Gson();
		int size = latents.patchSize();
		try (BufferedWriter writer = Files.newBufferedWriter(file, StandardCharsets.UTF_8,
				StandardOpenOption.CREATE_NEW)) {
			for (int i = 0; i < latents.patches(); i++) {
				writer.write(gson.toJson(new Line(latents.tokens().subList(i * size, (i + 1) * size), texts.get(i),
						latents.means().get(i), latents.deviations().get(i))));
				writer.newLine();
			}
		}
		catch (FileAlreadyExistsException ex) {
			throw new InvalidInputException(file.toString(), "exists already", "choose another file");
		}
		catch (IOException ex) {
			throw new InvalidInputException(file.toString(), "cannot be written (" + ex + ")",
					"check the free space and the permissions there", ex);
		}
	}

}

package io.calm.cli;

import java.util.List;

import io.calm.Calm;
import io.calm.hub.Hub;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Fetches a model from a hub. */
@Command(name = "pull",
		description = "Download a model directory from Hugging Face, or from the hub that HF_ENDPOINT names, to the "
				+ "cache that Hugging Face's Python libraries also use (HF_HOME). HF_TOKEN authenticates you. Files in "
				+ "the cache are not downloaded again, and interrupted downloads resume. An autoencoder and a tokenizer "
				+ "from other repositories are put together with the model: the directory opens as it is.")
final class PullCommand extends Subcommand {

	@Parameters(paramLabel = "hf:OWNER/NAME[@REVISION]", description = "The model (default revision: main).")
	private String model = "";

	@Option(names = "--autoencoder", paramLabel = "hf:OWNER/NAME[@REVISION]",
			description = "The repository of the autoencoder (default: it comes with the model).")
	private @Nullable String autoencoder;

	@Option(names = "--tokenizer", paramLabel = "hf:OWNER/NAME[@REVISION]",
			description = "The repository of the tokenizer, of which nothing else is downloaded (default: it comes with the "
					+ "model).")
	private @Nullable String tokenizer;

	@Option(names = "--include", paramLabel = "FILE",
			description = "Another file to download, such as pytorch_model.bin or autoencoder/pytorch_model.bin. May be "
					+ "given several times (default: .json and .safetensors only).")
	private List<String> include = List.of();

	@Override
	Report run() {
		Transfers transfers = new Transfers();
		try {
			return new Report().put("directory", Calm.pull(this.model, (parts) -> {
				parts.include(this.include).progress(transfers);
				if (this.autoencoder != null) {
					parts.autoencoder(this.autoencoder);
				}
				if (this.tokenizer != null) {
					parts.tokenizer(this.tokenizer);
				}
			}).toString());
		}
		finally {
			transfers.close();
		}
	}

	/** A bar for each file. */
	private final class Transfers implements Hub.Progress {

		private @Nullable String file;

		private @Nullable ProgressBar bar;

		@Override
		public void fetched(String file, long bytes, long size) {
			ProgressBar shown = this.bar;
			if (shown == null || !file.equals(this.file)) {
				close();
				shown = progress(file, size);
				this.file = file;
				this.bar = shown;
			}
			shown.update(bytes, "%,d MB".formatted(bytes / 1_000_000));
		}

		void close() {
			if (this.bar != null) {
				this.bar.close();
				this.bar = null;
			}
		}

	}

}

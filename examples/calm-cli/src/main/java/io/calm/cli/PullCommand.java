package io.calm.cli;

import java.util.List;

import io.calm.hub.Hub;
import io.calm.hub.ModelName;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Fetches a model from a hub. */
@Command(name = "pull",
		description = "Download a model directory from Hugging Face, or from the hub that HF_ENDPOINT names, to the "
				+ "cache that Hugging Face's Python libraries also use (HF_HOME). HF_TOKEN authenticates you. Files in "
				+ "the cache are not downloaded again, and interrupted downloads resume.")
final class PullCommand extends Subcommand {

	@Parameters(paramLabel = "hf:OWNER/NAME[@REVISION]", description = "The model (default revision: main).")
	private String model = "";

	@Option(names = "--include", paramLabel = "FILE",
			description = "Another file to download, such as pytorch_model.bin. May be given several times (default: "
					+ ".json and .safetensors only).")
	private List<String> include = List.of();

	@Override
	Report run() {
		Transfers transfers = new Transfers();
		try {
			return new Report().put("directory",
					Hub.ofEnvironment().pull(ModelName.of(this.model), this.include, transfers).toString());
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

package io.calm.cli;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorEntry;
import io.calm.checkpoint.TensorFile;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelKind;
import io.calm.text.Tokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Tells what is in a model directory. */
@Command(name = "inspect", description = "Show what a model directory contains: sizes, parameters, head, tokenizer.")
final class InspectCommand extends Subcommand {

	@Parameters(paramLabel = "DIR", description = "The model directory.")
	private Path directory = Path.of("model");

	@Override
	Report run() {
		ModelDirectory model = ModelDirectory.open(this.directory);
		Report report = new Report();
		model.base().ifPresent((base) -> report.put("adapterOf", base.path().toString()));
		try (TensorFile weights = model.weights()) {
			ModelKind kind = ModelKind.of(this.directory, weights);
			report.put("kind", kind.name().toLowerCase(Locale.ROOT))
				.put("tensors", weights.entries().size())
				.put("parameters", parameters(weights.entries(), ""));
			switch (kind) {
				case AUTOENCODER ->
					report.put("autoencoder", Report.of(ModelConfigs.settings(ModelConfigs.autoencoder(model))));
				case ENERGY, FLOW, DIFFUSION -> {
					AutoencoderConfig autoencoder = ModelConfigs.autoencoderOf(model, weights);
					CalmConfig config = ModelConfigs.calm(model, weights);
					report.put("autoencoderParameters", parameters(weights.entries(), CalmNetwork.AUTOENCODER));
					report.put("languageModel", Report.of(ModelConfigs.settings(config)));
					report.put("autoencoder", Report.of(ModelConfigs.settings(autoencoder)));
				}
				case BASELINE -> report.put("languageModel",
						Report.of(ModelConfigs.settings(ModelConfigs.baseline(model, weights))));
			}
		}
		if (model.tokenizer().isPresent()) {
			try (Tokenizer tokenizer = Tokenizer.load(model.tokenizer().get())) {
				report.put("tokenizer",
						new Report().put("vocabulary", tokenizer.vocabularySize())
							.put("pad", tokenizer.padId())
							.put("bos", tokenizer.bosId())
							.put("eos", tokenizer.eosId()));
			}
		}
		return report;
	}

	/**
	 * Each once: the reference stores the head and the tied embedding under two names.
	 */
	private static long parameters(Map<String, TensorEntry> entries, String prefix) {
		boolean twice = entries.containsKey("mlp_generator.noise_embd.weight");
		return entries.values()
			.stream()
			.filter((entry) -> entry.name().startsWith(prefix))
			.filter((entry) -> !(twice && entry.name().startsWith("generative_head.")))
			.filter((entry) -> !entry.name().endsWith("decoder.lm_head_weight"))
			.mapToLong(TensorEntry::elements)
			.sum();
	}

}

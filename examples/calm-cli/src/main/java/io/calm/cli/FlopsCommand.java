package io.calm.cli;

import java.util.List;
import java.util.Locale;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.model.BackboneConfig;
import io.calm.model.BaselineConfig;
import io.calm.model.CalmConfig;
import io.calm.model.Flops;
import picocli.CommandLine.Command;

/** Sets the costs that are computed here beside those of the paper. */
@Command(name = "flops",
		description = "Print how many operations the paper's six models cost, as computed here and as in table 1 of "
				+ "the paper.")
final class FlopsCommand extends Subcommand {

	private static final int VOCABULARY = 128_257;

	private static final int CONTEXT = 2048;

	/** 250 000 steps of 2 million tokens. */
	private static final double TOKENS = 5e11;

	/** Of the autoencoder: 30 000 steps of 512 thousand tokens. */
	private static final double AUTOENCODER_TOKENS = 1.5e10;

	private static final List<Row> PAPER = List.of(new Row("Transformer-S", 6.6e20, 4.4e8),
			new Row("Transformer-M", 11.9e20, 7.9e8), new Row("Transformer-L", 22.5e20, 15.0e8),
			new Row("CALM-M", 3.7e20, 2.9e8), new Row("CALM-L", 7.7e20, 4.6e8), new Row("CALM-XL", 19.5e20, 9.4e8));

	private record Row(String model, double training, double inferencePerToken) {
	}

	@Override
	Report run() {
		Report report = new Report();
		if (!json()) {
			out().printf("%-15s %23s %29s%n", "", "training, 1e20", "inference, 1e8 per token");
			out().printf("%-15s %7s %7s %7s %9s %9s %9s%n", "", "here", "paper", "", "here", "paper", "");
		}
		for (Row row : PAPER) {
			Row here = here(row.model());
			if (json()) {
				report.put(row.model(),
						new Report().put("training", here.training())
							.put("trainingInPaper", row.training())
							.put("inferencePerToken", here.inferencePerToken())
							.put("inferencePerTokenInPaper", row.inferencePerToken()));
			}
			else {
				out().printf(Locale.ROOT, "%-15s %7.2f %7.1f %+6.1f%% %9.2f %9.1f %+8.1f%%%n", row.model(),
						here.training() / 1e20, row.training() / 1e20, difference(here.training(), row.training()),
						here.inferencePerToken() / 1e8, row.inferencePerToken() / 1e8,
						difference(here.inferencePerToken(), row.inferencePerToken()));
			}
		}
		return report;
	}

	private static Row here(String model) {
		if (!model.startsWith("CALM")) {
			Flops flops = Flops.of(new BaselineConfig(VOCABULARY, BackboneConfig.preset(model).build(), 0, 1, 2),
					CONTEXT);
			return new Row(model, TOKENS * flops.training(), flops.inference());
		}
		AutoencoderConfig autoencoder = AutoencoderConfig.builder(VOCABULARY).build();
		// the paper's models do not copy and learn from the energy loss alone
		Flops flops = Flops.of(CalmConfig.preset(model).copySize(0).tokenLoss(0).build(autoencoder), autoencoder,
				CONTEXT);
		return new Row(model, TOKENS * flops.training() + AUTOENCODER_TOKENS * Flops.of(autoencoder).training(),
				flops.inference());
	}

	private static double difference(double here, double paper) {
		return 100 * (here / paper - 1);
	}

}

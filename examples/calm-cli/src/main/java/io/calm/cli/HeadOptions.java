package io.calm.cli;

import io.calm.head.Solver;
import io.calm.input.InvalidInputException;
import io.calm.model.CalmConfig;
import io.calm.model.ModelInput;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which input and which generative head a model has, and what it learns from. */
final class HeadOptions {

	/** The heads. */
	enum Head {

		ENERGY, FLOW, DIFFUSION

	}

	@Option(names = "--input", defaultValue = "discrete",
			description = "What of a patch the backbone is given: discrete (its tokens), continuous (its latent vector)"
					+ " or both (default: ${DEFAULT-VALUE}).")
	private ModelInput input = ModelInput.DISCRETE;

	@Option(names = "--head", defaultValue = "energy",
			description = "energy, flow or diffusion (default: ${DEFAULT-VALUE}).")
	private Head head = Head.ENERGY;

	@Option(names = "--samples",
			description = "N, samples of the model (of the posterior with flow and diffusion) per patch in training"
					+ " (default: 8).")
	private @Nullable Integer samples;

	@Option(names = "--targets",
			description = "M, samples of the posterior per patch in training of the energy head (default: 100).")
	private @Nullable Integer targets;

	@Option(names = "--alpha", description = "The exponent of the energy head's loss, between 0 and 2 (default: 1).")
	private @Nullable Double alpha;

	@Option(names = "--copy-size", paramLabel = "N",
			description = "Features of the attention that copies single tokens of the text (default: 64); 0 for a model"
					+ " that does not copy, as the paper's.")
	private @Nullable Integer copySize;

	@Option(names = "--token-loss", paramLabel = "WEIGHT",
			description = "What the cross entropy of the next tokens counts in training, beside the head's loss"
					+ " (default: 1); 0 for the paper's objective.")
	private @Nullable Double tokenLoss;

	@Option(names = "--guessed-tokens", paramLabel = "N",
			description = "How many of a patch's tokens the token loss is about in each step (default: all, or one where"
					+ " the vocabulary has more than 10000 ids).")
	private @Nullable Integer guessedTokens;

	@Option(names = "--lead-tokens", paramLabel = "N",
			description = "How many of a patch's first tokens are drawn before its vector (default: half of them); 0 for"
					+ " a vector alone, as the paper's.")
	private @Nullable Integer leadTokens;

	@Option(names = "--sampling-steps",
			description = "Of a draw from the flow head (default: 10) or the diffusion head (default: 100).")
	private @Nullable Integer samplingSteps;

	@Option(names = "--solver", description = "Of the flow head: euler or midpoint (default: midpoint).")
	private @Nullable Solver solver;

	CalmConfig.Builder applyTo(CalmConfig.Builder model) {
		if (this.head != Head.ENERGY && (this.alpha != null || this.targets != null)) {
			throw new InvalidInputException((this.alpha != null) ? "--alpha" : "--targets", "is for the energy head",
					"leave it out, or leave --head out");
		}
		if (this.solver != null && this.head != Head.FLOW) {
			throw new InvalidInputException("--solver", "is for the flow head", "add --head flow, or leave it out");
		}
		model.input(this.input);
		if (this.copySize != null) {
			model.copySize(this.copySize);
		}
		if (this.tokenLoss != null) {
			model.tokenLoss(this.tokenLoss);
		}
		if (this.guessedTokens != null) {
			model.guessedTokens(this.guessedTokens);
		}
		if (this.leadTokens != null) {
			model.leadTokens(this.leadTokens);
		}
		CalmConfig.Builder headed = switch (this.head) {
			case ENERGY -> {
				if (this.samplingSteps != null) {
					throw new InvalidInputException("--sampling-steps",
							"is for the flow and the diffusion head: the energy head draws in one step",
							"add --head flow or --head diffusion, or leave it out");
				}
				yield model.energyHead((energy) -> {
					if (this.alpha != null) {
						energy.alpha(this.alpha);
					}
				});
			}
			case FLOW -> model.flowHead((flow) -> {
				if (this.samplingSteps != null) {
					flow.steps(this.samplingSteps);
				}
				if (this.solver != null) {
					flow.solver(this.solver);
				}
			});
			case DIFFUSION -> model.diffusionHead((diffusion) -> {
				if (this.samplingSteps != null) {
					diffusion.steps(this.samplingSteps);
				}
			});
		};
		if (this.samples != null) {
			headed.samples(this.samples);
		}
		if (this.targets != null) {
			headed.targets(this.targets);
		}
		return headed;
	}

}

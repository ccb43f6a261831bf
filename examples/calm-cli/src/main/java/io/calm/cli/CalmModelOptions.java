package io.calm.cli;

import io.calm.head.Solver;
import io.calm.input.InvalidInputException;
import io.calm.model.CalmConfig;
import io.calm.model.ModelInput;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * What a CALM language model is made of beside its size: input, copying, generative head
 * and losses.
 */
final class CalmModelOptions {

	/** The heads. */
	enum Head {

		ENERGY, FLOW, DIFFUSION

	}

	@Option(names = "--input", defaultValue = "discrete",
			description = "Input of the backbone for each patch: discrete (its tokens), continuous (its latent vector) "
					+ "or both (default: ${DEFAULT-VALUE}).")
	private ModelInput input = ModelInput.DISCRETE;

	@Option(names = "--head", defaultValue = "energy",
			description = "Generative head: energy, flow or diffusion (default: ${DEFAULT-VALUE}).")
	private Head head = Head.ENERGY;

	@Option(names = "--samples",
			description = "N, samples of the model (with flow and diffusion: of the posterior) per patch in training "
					+ "(default: 8).")
	private @Nullable Integer samples;

	@Option(names = "--targets",
			description = "M, samples of the posterior per patch in training of the energy head (default: 100).")
	private @Nullable Integer targets;

	@Option(names = "--alpha", description = "The exponent of the energy head's loss, between 0 and 2 (default: 1).")
	private @Nullable Double alpha;

	@Option(names = "--copy-size", paramLabel = "N",
			description = "Size of the attention that copies single tokens of the text. 0 disables copying, as in the "
					+ "paper (default: 64).")
	private @Nullable Integer copySize;

	@Option(names = "--token-loss", paramLabel = "WEIGHT",
			description = "Weight of the cross entropy of the next tokens, which is added to the head's loss. 0 is the "
					+ "paper's objective (default: 1).")
	private @Nullable Double tokenLoss;

	@Option(names = "--guessed-tokens", paramLabel = "N",
			description = "Tokens of a patch that the token loss predicts in each step (default: all, or one if the "
					+ "vocabulary has more than 10000 ids).")
	private @Nullable Integer guessedTokens;

	@Option(names = "--vector-every", paramLabel = "N",
			description = "Learn the vectors in one of N sequences of a step, and tokens in all. 1 is the paper's "
					+ "objective (default: 1).")
	private @Nullable Integer vectorEvery;

	@Option(names = "--lead-tokens", paramLabel = "N",
			description = "First tokens of a patch that are drawn before its vector. 0 for none, as in the paper (default: "
					+ "half of the patch).")
	private @Nullable Integer leadTokens;

	@Option(names = "--sampling-steps",
			description = "Sampling steps per draw of the flow head (default: 10) or the diffusion head (default: 100).")
	private @Nullable Integer samplingSteps;

	@Option(names = "--solver", description = "Solver of the flow head: euler or midpoint (default: midpoint).")
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
		if (this.vectorEvery != null) {
			model.vectorEvery(this.vectorEvery);
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

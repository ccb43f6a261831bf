package io.calm;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;

import io.calm.evaluation.BrierScoring;
import io.calm.evaluation.LikelihoodScoring;
import io.calm.generation.GenerationEngine;
import io.calm.generation.GenerationRequest;
import io.calm.generation.GenerationStream;
import io.calm.graph.ProgramOptions;
import io.calm.text.TokenStore;
import io.calm.training.Evaluation;
import io.calm.training.Phase;
import io.calm.training.Sample;
import org.jspecify.annotations.Nullable;

/**
 * What is asked of a model while it is trained: scores on unseen text, and texts for
 * prompts.
 *
 * @param unseen text that is not trained on; null if nothing is scored
 * @param prompts beginnings of texts
 * @param request sets how the texts are written
 * @param program device, precision and fusion
 */
record TrainingEvaluation(@Nullable TokenStore unseen, List<String> prompts,
		Consumer<GenerationRequest.Builder> request, ProgramOptions program) {

	/** What an evaluation looks at, for an error of a few per cent. */
	private static final long POSITIONS = 16_384;

	/** Texts that are written side by side. */
	private static final int TOGETHER = 4;

	/** K of the paper: a baseline is scored where such a model would be. */
	private static final int COMPARED_PATCH_SIZE = 4;

	/**
	 * The evaluation of a phase.
	 * @param phase what is trained
	 * @param patches length of the blocks that it is trained with
	 * @return the evaluation
	 */
	Evaluation of(Phase phase, int patches) {
		Evaluation scored = (this.unseen != null) ? scores(phase, patches, this.unseen) : Evaluation.NONE;
		return (phase == Phase.AUTOENCODER || this.prompts.isEmpty()) ? scored : scored.withSamples(this::write);
	}

	private Evaluation scores(Phase phase, int patches, TokenStore text) {
		return switch (phase) {
			case AUTOENCODER -> Evaluation.ofAutoencoder(text, this.program);
			case LANGUAGE_MODEL ->
				Evaluation.ofLanguageModel(text, new BrierScoring(patches, 2, POSITIONS, 1), this.program);
			case BASELINE ->
				Evaluation.ofBaseline(text, new LikelihoodScoring(Math.max(2, patches / COMPARED_PATCH_SIZE),
						COMPARED_PATCH_SIZE, 2, POSITIONS, 1), this.program);
		};
	}

	/**
	 * All prompts side by side; the slots that a model in use would have are too many.
	 */
	private List<Sample> write(Path checkpoint) {
		try (GenerationEngine engine = GenerationEngine.open(checkpoint,
				(options) -> options.slots(Math.min(this.prompts.size(), TOGETHER))
					.queue(this.prompts.size())
					.program(this.program.withFusion(false)))) {
			List<GenerationStream> streams = this.prompts.stream()
				.map((prompt) -> engine.generate(prompt, this.request))
				.toList();
			List<Sample> samples = new ArrayList<>();
			for (int i = 0; i < streams.size(); i++) {
				samples.add(new Sample(this.prompts.get(i), streams.get(i).text()));
			}
			return samples;
		}
		catch (CancellationException ex) {
			// the training is being interrupted, and has saved its state
			return List.of();
		}
	}

}

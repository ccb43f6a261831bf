package io.calm.evaluation;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Stream;

import io.calm.generation.GenerationEngine;
import io.calm.generation.GenerationStream;
import io.calm.input.InvalidInputException;
import io.calm.text.Corpus;
import io.calm.text.TextPiece;

/**
 * Lets a model answer the prompts of a corpus, and compares its answers with the right
 * ones. Unlike a {@link Scoring} it needs a model that is open, and the text as text.
 *
 * @param temperature of the generation, see {@link #TEMPERATURE}
 * @param limit the greatest number of prompts; 0 for all
 * @param seed of the draws
 */
public record ExactMatchScoring(double temperature, long limit, long seed) {

	/** The temperature that is usual for it: low, so that a model says what it knows. */
	public static final double TEMPERATURE = 0.2;

	/** Requests that are asked for together. */
	private static final int TOGETHER = 16;

	/** Tokens by which a text may be longer than the answer, to show that it is. */
	private static final int LONGER = 8;

	/**
	 * Lets a model answer each prompt.
	 * @param model generates the answers
	 * @param corpus prompts with their answers; its plain text is left out
	 * @return how many answers were right
	 * @throws InvalidInputException if the corpus has no prompts
	 */
	public ExactMatch score(GenerationEngine model, Corpus corpus) {
		long right = 0;
		long all = 0;
		try (Stream<TextPiece> pieces = corpus.pieces()) {
			Iterator<TextPiece> prompts = pieces.filter((piece) -> piece.prompt() != null)
				.limit((this.limit == 0) ? Long.MAX_VALUE : this.limit)
				.iterator();
			while (prompts.hasNext()) {
				List<TextPiece> some = new ArrayList<>();
				while (prompts.hasNext() && some.size() < TOGETHER) {
					some.add(prompts.next());
				}
				right += right(model, some, this.seed + all);
				all += some.size();
			}
		}
		if (all == 0) {
			throw new InvalidInputException("corpus", "has no prompts with answers",
					"give lines with \"prompt\" and \"completion\", or \"messages\"");
		}
		double share = (double) right / all;
		return new ExactMatch(share, Math.sqrt(share * (1 - share) / all), all);
	}

	private long right(GenerationEngine model, List<TextPiece> asked, long firstSeed) {
		List<GenerationStream> answers = new ArrayList<>();
		for (TextPiece piece : asked) {
			answers.add(model.generate(String.valueOf(piece.prompt()),
					(request) -> request.temperature(this.temperature)
						.maxNewTokens(model.countTokens(piece.text()) + LONGER)
						.seed(firstSeed + answers.size())));
		}
		long right = 0;
		for (int i = 0; i < asked.size(); i++) {
			right += answers.get(i).text().strip().equals(asked.get(i).text().strip()) ? 1 : 0;
		}
		return right;
	}

}

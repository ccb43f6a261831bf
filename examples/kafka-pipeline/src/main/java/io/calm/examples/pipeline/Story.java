package io.calm.examples.pipeline;

import java.util.Objects;

import io.calm.streaming.TextChunk;

/**
 * What the pipeline makes of a product.
 *
 * @param product as it came
 * @param text that follows its description
 * @param model that wrote it
 * @param finishReason why it ended
 * @param tokens of the text
 */
record Story(Product product, String text, String model, String finishReason, int tokens) {

	/** Puts the chunks of a text together. */
	static Story of(Product product, String model, Iterable<TextChunk> chunks) {
		StringBuilder text = new StringBuilder();
		TextChunk.End end = null;
		for (TextChunk chunk : chunks) {
			if (chunk.seq() == 0) {
				// another attempt: what was there is void
				text.setLength(0);
			}
			text.append(chunk.text());
			end = chunk.end();
		}
		TextChunk.End last = Objects.requireNonNull(end, "the end of the text");
		return new Story(product, text.toString(), model, String.valueOf(last.finishReason()),
				last.usage().completionTokens());
	}

}

package io.calm.text;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.calm.input.InvalidInputException;

/**
 * What stands in the {@code tokenizer.json} of a byte-level BPE: PAD, BOS and EOS, the
 * 256 bytes, and what is merged out of them, in this order.
 */
final class ByteLevelTokenizer {

	static final int PAD = 0;

	static final int BOS = 1;

	static final int EOS = 2;

	static final int FIRST_BYTE = 3;

	static final int FIRST_MERGED = FIRST_BYTE + 256;

	private static final int MOST_IDS = 1_000_000;

	private static final List<String> SPECIAL = List.of("<|pad|>", "<|bos|>", "<|eos|>");

	/**
	 * Two ids that become one; the i-th merge makes id {@code FIRST_MERGED + i}.
	 */
	record Merge(int left, int right) {
	}

	private ByteLevelTokenizer() {
	}

	static Map<String, Integer> specialIds() {
		return Map.of(SPECIAL.get(PAD), PAD, SPECIAL.get(BOS), BOS, SPECIAL.get(EOS), EOS);
	}

	/** How many merges a vocabulary has at most. */
	static int merges(int vocabularySize) {
		if (vocabularySize < FIRST_MERGED || vocabularySize > MOST_IDS) {
			throw new InvalidInputException("tokenizer, vocabulary size", "is " + vocabularySize,
					"choose from " + FIRST_MERGED + ", the bytes alone, to " + MOST_IDS);
		}
		return vocabularySize - FIRST_MERGED;
	}

	/** The tokenizer of words with these merges. */
	static Tokenizer of(List<Merge> merges) {
		return HuggingFaceTokenizer.of(files(merges, true));
	}

	/**
	 * The files.
	 * @param merges in the order in which they are applied
	 * @param words whether a text is split into words first, across which nothing is
	 * merged
	 */
	static TokenizerFiles files(List<Merge> merges, boolean words) {
		List<String> tokens = new ArrayList<>(SPECIAL);
		int invisible = 0;
		for (int b = 0; b < 256; b++) {
			// the table of byte-level BPE: a byte that is visible in Latin-1 stands for
			// itself, the others follow from U+0100 on
			boolean visible = (b > ' ' && b < 0x7F) || (b > 0xA0 && b != 0xAD);
			tokens.add(Character.toString(visible ? b : 256 + invisible++));
		}
		JsonArray mergeTexts = new JsonArray();
		for (Merge merge : merges) {
			mergeTexts.add(tokens.get(merge.left()) + " " + tokens.get(merge.right()));
			tokens.add(tokens.get(merge.left()) + tokens.get(merge.right()));
		}
		JsonObject vocabulary = new JsonObject();
		tokens.forEach((token) -> vocabulary.addProperty(token, vocabulary.size()));
		JsonObject model = new JsonObject();
		model.addProperty("type", "BPE");
		model.add("vocab", vocabulary);
		model.add("merges", mergeTexts);
		JsonObject tokenizer = new JsonObject();
		tokenizer.addProperty("version", "1.0");
		tokenizer.add("added_tokens", specialTokens());
		tokenizer.add("pre_tokenizer", byteLevel(words));
		tokenizer.add("decoder", byteLevel(words));
		tokenizer.add("model", model);
		JsonObject config = new JsonObject();
		config.addProperty("pad_token", SPECIAL.get(PAD));
		config.addProperty("bos_token", SPECIAL.get(BOS));
		config.addProperty("eos_token", SPECIAL.get(EOS));
		return new TokenizerFiles(tokenizer.toString().getBytes(StandardCharsets.UTF_8),
				config.toString().getBytes(StandardCharsets.UTF_8));
	}

	private static JsonArray specialTokens() {
		JsonArray tokens = new JsonArray();
		for (String content : SPECIAL) {
			JsonObject token = new JsonObject();
			token.addProperty("id", tokens.size());
			token.addProperty("content", content);
			for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
				token.addProperty(flag, false);
			}
			token.addProperty("special", true);
			tokens.add(token);
		}
		return tokens;
	}

	private static JsonObject byteLevel(boolean words) {
		JsonObject step = new JsonObject();
		step.addProperty("type", "ByteLevel");
		step.addProperty("add_prefix_space", false);
		step.addProperty("trim_offsets", false);
		step.addProperty("use_regex", words);
		return step;
	}

}

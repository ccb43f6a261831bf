package io.calm.text;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/**
 * The tokenizer that needs no training: every byte of the UTF-8 text is a token. PAD is
 * 0, BOS 1, EOS 2, and byte b is 3 + b, 259 ids in all. Good for small models, tests and
 * texts in any language; a trained tokenizer makes shorter sequences.
 */
public final class ByteTokenizer implements Tokenizer {

	private static final List<String> SPECIAL = List.of("<|pad|>", "<|bos|>", "<|eos|>");

	private static final int FIRST_BYTE = SPECIAL.size();

	/**
	 * A byte tokenizer. It has no options and holds nothing.
	 */
	public ByteTokenizer() {
	}

	@Override
	public int[] encode(String text) {
		byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
		int[] ids = new int[bytes.length];
		for (int i = 0; i < ids.length; i++) {
			ids[i] = FIRST_BYTE + Byte.toUnsignedInt(bytes[i]);
		}
		return ids;
	}

	@Override
	public String decode(int... ids) {
		byte[] bytes = new byte[ids.length];
		int length = 0;
		for (int id : ids) {
			if (id < 0 || id >= vocabularySize()) {
				throw new IllegalArgumentException("token id " + id + " is not in 0.." + (vocabularySize() - 1));
			}
			if (id >= FIRST_BYTE) {
				bytes[length++] = (byte) (id - FIRST_BYTE);
			}
		}
		return new String(bytes, 0, length, StandardCharsets.UTF_8);
	}

	@Override
	public int vocabularySize() {
		return FIRST_BYTE + 256;
	}

	@Override
	public int padId() {
		return 0;
	}

	@Override
	public int bosId() {
		return 1;
	}

	@Override
	public int eosId() {
		return 2;
	}

	/**
	 * Written as a byte-level BPE without merges, so that a model directory has one
	 * format of tokenizer only.
	 */
	@Override
	public void save(Path directory) {
		new TokenizerFiles(utf8(tokenizerJson()), utf8(configJson())).save(directory);
	}

	@Override
	public void close() {
	}

	private static byte[] utf8(JsonObject json) {
		return json.toString().getBytes(StandardCharsets.UTF_8);
	}

	private static JsonObject configJson() {
		JsonObject config = new JsonObject();
		config.addProperty("pad_token", SPECIAL.get(0));
		config.addProperty("bos_token", SPECIAL.get(1));
		config.addProperty("eos_token", SPECIAL.get(2));
		return config;
	}

	private static JsonObject tokenizerJson() {
		JsonArray added = new JsonArray();
		JsonObject vocabulary = new JsonObject();
		for (String content : SPECIAL) {
			JsonObject token = new JsonObject();
			token.addProperty("id", vocabulary.size());
			token.addProperty("content", content);
			for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
				token.addProperty(flag, false);
			}
			token.addProperty("special", true);
			added.add(token);
			vocabulary.addProperty(content, vocabulary.size());
		}
		int invisible = 0;
		for (int b = 0; b < 256; b++) {
			// the table of byte-level BPE: a byte that is visible in Latin-1 stands for
			// itself, the others follow from U+0100 on
			boolean visible = (b > ' ' && b < 0x7F) || (b > 0xA0 && b != 0xAD);
			vocabulary.addProperty(Character.toString(visible ? b : 256 + invisible++), FIRST_BYTE + b);
		}
		JsonObject model = new JsonObject();
		model.addProperty("type", "BPE");
		model.add("vocab", vocabulary);
		model.add("merges", new JsonArray());
		JsonObject tokenizer = new JsonObject();
		tokenizer.addProperty("version", "1.0");
		tokenizer.add("added_tokens", added);
		tokenizer.add("pre_tokenizer", byteLevel());
		tokenizer.add("decoder", byteLevel());
		tokenizer.add("model", model);
		return tokenizer;
	}

	private static JsonObject byteLevel() {
		JsonObject step = new JsonObject();
		step.addProperty("type", "ByteLevel");
		step.addProperty("add_prefix_space", false);
		step.addProperty("trim_offsets", false);
		step.addProperty("use_regex", false);
		return step;
	}

}

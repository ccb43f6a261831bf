package io.calm.text;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * The tokenizer that needs no training: every byte of the UTF-8 text is a token. PAD is
 * 0, BOS 1, EOS 2, and byte b is 3 + b, 259 ids in all. Good for small models, tests and
 * texts in any language; a trained tokenizer makes shorter sequences.
 */
public final class ByteTokenizer implements Tokenizer {

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
			ids[i] = ByteLevelTokenizer.FIRST_BYTE + Byte.toUnsignedInt(bytes[i]);
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
			if (id >= ByteLevelTokenizer.FIRST_BYTE) {
				bytes[length++] = (byte) (id - ByteLevelTokenizer.FIRST_BYTE);
			}
		}
		return new String(bytes, 0, length, StandardCharsets.UTF_8);
	}

	@Override
	public Map<String, Integer> specialTokens() {
		return ByteLevelTokenizer.specialIds();
	}

	@Override
	public int vocabularySize() {
		return ByteLevelTokenizer.FIRST_MERGED;
	}

	@Override
	public int longestToken() {
		return 1;
	}

	@Override
	public int padId() {
		return ByteLevelTokenizer.PAD;
	}

	@Override
	public int bosId() {
		return ByteLevelTokenizer.BOS;
	}

	@Override
	public int eosId() {
		return ByteLevelTokenizer.EOS;
	}

	/**
	 * Written as a byte-level BPE without merges, so that a model directory has one
	 * format of tokenizer only.
	 */
	@Override
	public void save(Path directory) {
		ByteLevelTokenizer.files(List.of(), false).save(directory);
	}

	@Override
	public void close() {
	}

}

package io.calm.text;

import java.nio.file.Path;
import java.util.Map;

import io.calm.input.InvalidInputException;

/**
 * Text to token ids and back. Ids run from 0 to {@link #vocabularySize()} - 1, the ids of
 * PAD, BOS and EOS among them. All methods but {@link #close()} may be called from
 * several threads at once.
 */
public interface Tokenizer extends AutoCloseable {

	/**
	 * Opens any {@code tokenizer.json} of the Hugging Face format. The ids of PAD, BOS
	 * and EOS come from the {@code tokenizer_config.json} beside it, or else from
	 * well-known names such as {@code </s>}. A tokenizer without a PAD of its own gets
	 * one behind its vocabulary; one without BOS begins its documents with EOS. Nothing
	 * is fetched from the network.
	 * @param path a {@code tokenizer.json} or a directory that contains one
	 * @return the tokenizer, to be closed by the caller
	 * @throws InvalidInputException if the file is missing or broken, or has no EOS
	 */
	static Tokenizer load(Path path) {
		return HuggingFaceTokenizer.open(path);
	}

	/**
	 * Learns a byte-level BPE from a text: for one's own data, when there is no tokenizer
	 * yet. The same text always gives the same tokenizer. It is trained on the first 256
	 * Mi characters at most.
	 * @param corpus the text
	 * @param vocabularySize the number of ids, 259 of which are PAD, BOS, EOS and the
	 * bytes; fewer when the text has no pair of tokens left that stands in it twice
	 * @return the tokenizer, to be closed by the caller
	 * @throws InvalidInputException if the vocabulary is too small or too large or the
	 * corpus cannot be read
	 */
	static Tokenizer train(Corpus corpus, int vocabularySize) {
		return ByteLevelTokenizer.of(BytePairTraining.merges(corpus, ByteLevelTokenizer.merges(vocabularySize)));
	}

	/**
	 * The ids of a text, as they are: no BOS or EOS is added, nothing is cut off, and a
	 * text that spells out {@code </s>} does not become an EOS, nor any other special
	 * token. Unpaired surrogates become question marks.
	 * @param text the text, may be empty
	 * @return the ids
	 */
	int[] encode(String text);

	/**
	 * The text of ids. Special tokens are left out; bytes that are not UTF-8, such as
	 * half a character at the end, become U+FFFD.
	 * @param ids the ids
	 * @return the text
	 * @throws IllegalArgumentException if an id is not in the vocabulary
	 */
	String decode(int... ids);

	/**
	 * The special tokens, which no text becomes: BOS and EOS, and those between the
	 * messages of a chat.
	 * @return the ids by the texts that stand for them
	 */
	Map<String, Integer> specialTokens();

	/**
	 * The number of ids, PAD included.
	 * @return the largest id plus one
	 */
	int vocabularySize();

	/**
	 * How much text a token can stand for: a text of n characters has at least n divided
	 * by this many tokens, unless the tokenizer makes it shorter first, as some do with
	 * white space.
	 * @return the characters of the longest token
	 */
	int longestToken();

	/**
	 * The id that fills up patches and blocks. Never the same as EOS: PAD is no target of
	 * training, and a model must learn to end.
	 * @return the id of PAD
	 */
	int padId();

	/**
	 * The id that begins a document.
	 * @return the id of BOS
	 */
	int bosId();

	/**
	 * The id that ends a document.
	 * @return the id of EOS
	 */
	int eosId();

	/**
	 * Writes {@code tokenizer.json} and {@code tokenizer_config.json}, from which
	 * {@link #load} makes a tokenizer with the same ids.
	 * @param directory where to, created if need be
	 * @throws InvalidInputException if the directory cannot be written
	 */
	void save(Path directory);

	/**
	 * Frees what the tokenizer holds. Further calls do nothing.
	 */
	@Override
	void close();

}

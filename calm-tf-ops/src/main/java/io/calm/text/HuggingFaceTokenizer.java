package io.calm.text;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.calm.input.InputFile;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * Any {@code tokenizer.json}, run by the tokenizers library of Hugging Face.
 * <p>
 * DJL's own class of this name is passed by in favour of the native methods under it: it
 * copies seven arrays out of every encoding where one is needed, and reports its use over
 * the network on some machines.
 */
final class HuggingFaceTokenizer implements Tokenizer {

	private static final List<String> PAD_NAMES = List.of("<|pad|>", "<pad>", "[PAD]", "<PAD>");

	private static final List<String> BOS_NAMES = List.of("<|bos|>", "<s>", "<|begin_of_text|>", "<bos>", "[BOS]",
			"<|startoftext|>", "<|endoftext|>", "[CLS]");

	private static final List<String> EOS_NAMES = List.of("<|eos|>", "</s>", "<|end_of_text|>", "<|endoftext|>",
			"<eos>", "[EOS]", "[SEP]");

	/** Of a file: four times the largest that is known, of a vocabulary of 262 144. */
	private static final int MOST_BYTES = 1 << 27;

	private static final int LONGEST_SHOWN = 300;

	/** Why the native library cannot be used. */
	private static final @Nullable Throwable MISSING = loadNativeLibrary();

	private final TokenizerFiles files;

	private final int vocabularySize;

	private final int padId;

	private final int bosId;

	private final int eosId;

	private final int longestToken;

	/** What makes no text. */
	private final BitSet special;

	/** What no text makes: the special tokens but the one for unknown characters. */
	private final BitSet control;

	private final Map<String, Integer> specialTexts;

	/** The first characters of these. */
	private final BitSet specialBeginnings;

	/** Readers use the handle, the writer frees it: freed memory in use is a crash. */
	private final ReadWriteLock lock = new ReentrantReadWriteLock();

	private long handle;

	private HuggingFaceTokenizer(String where, byte[] tokenizer, byte @Nullable [] configFile, JsonObject config) {
		if (MISSING != null) {
			throw new InvalidInputException("tokenizer",
					"its native library cannot be loaded: " + reason(MISSING) + " (it is unpacked to "
							+ System.getProperty("ENGINE_CACHE_DIR",
									System.getProperty("DJL_CACHE_DIR",
											Path.of(System.getProperty("user.home"), ".djl.ai").toString()))
							+ ")",
					"install what is missing, or name a directory that can be written to and executed from with"
							+ " -DENGINE_CACHE_DIR",
					MISSING);
		}
		TokenizerJson json = TokenizerJson.read(where, tokenizer);
		Map<String, Integer> vocabulary = json.vocabulary();
		int ids = 1 + vocabulary.values().stream().mapToInt(Integer::intValue).max().orElseThrow();
		Integer eos = find(vocabulary, config, "eos_token", EOS_NAMES);
		if (eos == null) {
			throw new InvalidInputException(where, "has no token that ends a document (EOS)",
					"name one of its tokens as \"eos_token\" in a " + TokenizerFiles.CONFIG + " beside it");
		}
		Integer bos = find(vocabulary, config, "bos_token", BOS_NAMES);
		Integer pad = find(vocabulary, config, "pad_token", PAD_NAMES);
		this.eosId = eos;
		this.bosId = (bos != null) ? bos : eos;
		// a PAD that is also EOS or BOS, as some configurations have it, would never be
		// learned: PAD is no target
		boolean ownPad = pad != null && pad != this.eosId && pad != this.bosId;
		this.padId = ownPad ? pad : ids;
		this.vocabularySize = ownPad ? ids : ids + 1;
		this.longestToken = vocabulary.keySet().stream().mapToInt(String::length).max().orElseThrow();
		this.special = new BitSet();
		json.specials().values().forEach(this.special::set);
		declared(config).map(vocabulary::get).filter(Objects::nonNull).forEach(this.special::set);
		IntStream.of(this.padId, this.bosId, this.eosId).forEach(this.special::set);
		this.control = (BitSet) this.special.clone();
		if (json.unknown() != null && json.unknown() != this.eosId) {
			this.control.clear(json.unknown());
		}
		this.specialTexts = vocabulary.entrySet()
			.stream()
			.filter((token) -> this.control.get(token.getValue()) && !token.getKey().isEmpty())
			.collect(Collectors.toUnmodifiableMap(Map.Entry::getKey, Map.Entry::getValue));
		this.specialBeginnings = new BitSet();
		this.specialTexts.keySet().forEach((text) -> this.specialBeginnings.set(text.charAt(0)));
		this.files = new TokenizerFiles(tokenizer,
				(configFile != null) ? configFile : config(vocabulary).toString().getBytes(StandardCharsets.UTF_8));
		try {
			this.handle = TokenizersLibrary.LIB.createTokenizerFromString(json.nativeJson());
		}
		catch (RuntimeException ex) {
			throw TokenizerJson.broken(where, "is no tokenizer (" + shown(ex) + ")", ex);
		}
	}

	static HuggingFaceTokenizer open(Path path) {
		Path file = Files.isDirectory(path) ? path.resolve(TokenizerFiles.TOKENIZER) : path;
		if (!Files.isRegularFile(file)) {
			throw new InvalidInputException(file.toString(), "there is no such file",
					"name a tokenizer.json or a directory that contains one");
		}
		Path configFile = file.resolveSibling(TokenizerFiles.CONFIG);
		byte[] config = Files.isRegularFile(configFile) ? read(configFile) : null;
		return new HuggingFaceTokenizer(file.toString(), read(file), config,
				(config != null) ? TokenizerJson.object(configFile.toString(), config) : new JsonObject());
	}

	static HuggingFaceTokenizer of(TokenizerFiles files) {
		return new HuggingFaceTokenizer(TokenizerFiles.TOKENIZER, files.tokenizer(), files.config(),
				TokenizerJson.object(TokenizerFiles.CONFIG, files.config()));
	}

	@Override
	public int[] encode(String text) {
		String clean = StandardCharsets.UTF_8.newEncoder().canEncode(text) ? text
				: new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8);
		int[] ids = encodeNative(clean);
		return Arrays.stream(ids).noneMatch(this.control::get) ? ids : encodePlain(clean);
	}

	/**
	 * A special token that is spelled out in a text is taken apart after its first
	 * character, which hides it from the native tokenizer: who writes a prompt must not
	 * be able to end a document.
	 */
	private int[] encodePlain(String text) {
		IntStream.Builder ids = IntStream.builder();
		int from = 0;
		while (from < text.length()) {
			int to = from;
			while (to < text.length() && !spellsSpecial(text, to)) {
				to++;
			}
			to = (to < text.length()) ? text.offsetByCodePoints(to, 1) : to;
			Arrays.stream(encodePiece(text.substring(from, to))).forEach(ids);
			from = to;
		}
		return ids.build().toArray();
	}

	private boolean spellsSpecial(String text, int at) {
		return this.specialBeginnings.get(text.charAt(at))
				&& this.specialTexts.keySet().stream().anyMatch((each) -> text.startsWith(each, at));
	}

	/**
	 * What a normalizer turns into a special token, such as one in capitals, is taken
	 * apart wholly.
	 */
	private int[] encodePiece(String text) {
		int[] ids = encodeNative(text);
		if (Arrays.stream(ids).noneMatch(this.control::get)) {
			return ids;
		}
		return text.codePoints()
			.flatMap((character) -> Arrays.stream(encodeNative(Character.toString(character))))
			.filter((id) -> !this.control.get(id))
			.toArray();
	}

	private int[] encodeNative(String text) {
		long[] ids;
		this.lock.readLock().lock();
		try {
			long encoding = encoding(text);
			try {
				ids = TokenizersLibrary.LIB.getTokenIds(encoding);
			}
			finally {
				TokenizersLibrary.LIB.deleteEncoding(encoding);
			}
		}
		finally {
			this.lock.readLock().unlock();
		}
		int[] result = new int[ids.length];
		for (int i = 0; i < result.length; i++) {
			if (ids[i] < 0 || ids[i] >= this.vocabularySize) {
				throw new IllegalStateException(
						"the tokenizer returned the id " + ids[i] + " but has " + this.vocabularySize + " ids only");
			}
			result[i] = (int) ids[i];
		}
		return result;
	}

	private long encoding(String text) {
		long open = openHandle();
		try {
			return TokenizersLibrary.LIB.encode(open, text, false);
		}
		catch (RuntimeException ex) {
			throw new InvalidInputException("text", "the tokenizer cannot encode it (" + shown(ex) + ")",
					"use a tokenizer that knows all characters, such as a byte-level one", ex);
		}
	}

	@Override
	public String decode(int... ids) {
		long[] plain = new long[ids.length];
		int length = 0;
		for (int id : ids) {
			if (id < 0 || id >= this.vocabularySize) {
				throw new IllegalArgumentException("token id " + id + " is not in 0.." + (this.vocabularySize - 1));
			}
			if (!this.special.get(id)) {
				plain[length++] = id;
			}
		}
		this.lock.readLock().lock();
		try {
			return TokenizersLibrary.LIB.decode(openHandle(), Arrays.copyOf(plain, length), true);
		}
		finally {
			this.lock.readLock().unlock();
		}
	}

	@Override
	public Map<String, Integer> specialTokens() {
		return this.specialTexts;
	}

	@Override
	public int vocabularySize() {
		return this.vocabularySize;
	}

	@Override
	public int longestToken() {
		return this.longestToken;
	}

	@Override
	public int padId() {
		return this.padId;
	}

	@Override
	public int bosId() {
		return this.bosId;
	}

	@Override
	public int eosId() {
		return this.eosId;
	}

	@Override
	public void save(Path directory) {
		this.files.save(directory);
	}

	@Override
	public void close() {
		this.lock.writeLock().lock();
		try {
			if (this.handle != 0) {
				TokenizersLibrary.LIB.deleteTokenizer(this.handle);
				this.handle = 0;
			}
		}
		finally {
			this.lock.writeLock().unlock();
		}
	}

	private long openHandle() {
		if (this.handle == 0) {
			throw new IllegalStateException("the tokenizer is closed");
		}
		return this.handle;
	}

	/**
	 * On a machine with a GPU, DJL would download a build of the library for it; told
	 * that it is offline, it takes the one in its jar.
	 */
	private static @Nullable Throwable loadNativeLibrary() {
		String offline = "ai.djl.offline";
		String before = System.getProperty(offline);
		System.setProperty(offline, "true");
		try {
			LibUtils.checkStatus();
			return null;
		}
		catch (RuntimeException | LinkageError ex) {
			// what a static initialiser throws would not be told in one line
			return ex;
		}
		finally {
			if (before == null) {
				System.clearProperty(offline);
			}
			else {
				System.setProperty(offline, before);
			}
		}
	}

	/** What lies under the errors of class initialisers. */
	private static Throwable reason(Throwable failure) {
		Throwable reason = failure;
		while (reason.getCause() != null) {
			reason = reason.getCause();
		}
		return reason;
	}

	/** What the native tokenizer says may quote a name of any length from the file. */
	private static String shown(Throwable failure) {
		String message = String.valueOf(failure.getMessage());
		return (message.length() <= LONGEST_SHOWN) ? message : message.substring(0, LONGEST_SHOWN) + "…";
	}

	private static byte[] read(Path file) {
		return InputFile.bytes(file, MOST_BYTES, "check what was downloaded or copied");
	}

	private static @Nullable Integer find(Map<String, Integer> vocabulary, JsonObject config, String key,
			List<String> wellKnown) {
		JsonElement named = config.get(key);
		if (named instanceof JsonObject token) {
			named = token.get("content");
		}
		if (named != null && named.isJsonPrimitive()) {
			return vocabulary.get(named.getAsString());
		}
		return wellKnown.stream().map(vocabulary::get).filter((id) -> id != null).findFirst().orElse(null);
	}

	/** Tokens that the configuration calls special, in all of its ways. */
	private static Stream<String> declared(JsonObject config) {
		Stream<JsonElement> named = config.entrySet()
			.stream()
			.filter((entry) -> entry.getKey().endsWith("_token"))
			.map(Map.Entry::getValue);
		Stream<JsonElement> additional = (config.get("additional_special_tokens") instanceof JsonArray tokens)
				? tokens.asList().stream() : Stream.empty();
		Stream<JsonElement> added = (config.get("added_tokens_decoder") instanceof JsonObject tokens)
				? tokens.asMap().values().stream().filter(HuggingFaceTokenizer::isSpecial) : Stream.empty();
		return Stream.of(named, additional, added)
			.flatMap((tokens) -> tokens)
			.map((token) -> (token instanceof JsonObject object) ? object.get("content") : token)
			.filter((token) -> token instanceof JsonPrimitive value && value.isString())
			.map(JsonElement::getAsString);
	}

	private static boolean isSpecial(JsonElement token) {
		return token instanceof JsonObject object && object.get("special") instanceof JsonPrimitive special
				&& special.isBoolean() && special.getAsBoolean();
	}

	private JsonObject config(Map<String, Integer> vocabulary) {
		JsonObject config = new JsonObject();
		vocabulary.forEach((token, id) -> {
			if (id == this.padId) {
				config.addProperty("pad_token", token);
			}
			if (id == this.bosId) {
				config.addProperty("bos_token", token);
			}
			if (id == this.eosId) {
				config.addProperty("eos_token", token);
			}
		});
		return config;
	}

}

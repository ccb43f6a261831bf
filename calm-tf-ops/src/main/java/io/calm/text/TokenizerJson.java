package io.calm.text;

import java.io.IOException;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * What is in a {@code tokenizer.json}. The native tokenizer ends the process when some
 * parts of the file are wrong, so these are checked here first.
 *
 * @param vocabulary every token with its id, added tokens included
 * @param specials the added tokens that are special, with their ids
 * @param unknown the token for what no other one stands for, if there is one
 * @param nativeJson the file as the native tokenizer shall see it
 */
record TokenizerJson(Map<String, Integer> vocabulary, Map<String, Integer> specials, @Nullable Integer unknown,
		String nativeJson) {

	/** More ids than this are a broken file, not a vocabulary. */
	private static final int MAX_IDS = 1 << 24;

	/** Units of a trie that one byte of a key chooses among. */
	private static final int TRIE_BLOCK = 256;

	private static final Pattern PLACE = Pattern.compile("line \\d+ column \\d+");

	/** The native parser stops at 128. */
	private static final int MAX_NESTING = 100;

	static TokenizerJson read(String where, byte[] bytes) {
		JsonObject json = object(where, bytes);
		Map<String, Integer> vocabulary = new HashMap<>();
		Map<String, Integer> specials = new HashMap<>();
		@Nullable Integer unknown;
		try {
			readModel(json.getAsJsonObject("model").get("vocab"), vocabulary);
			readAdded(json.get("added_tokens"), vocabulary, specials);
			unknown = unknown(json.getAsJsonObject("model"), vocabulary);
		}
		catch (RuntimeException ex) {
			throw broken(where, "has no vocabulary that can be read", ex);
		}
		if (vocabulary.isEmpty()) {
			throw broken(where, "has an empty vocabulary", null);
		}
		vocabulary.forEach((token, id) -> {
			if (id < 0 || id >= MAX_IDS) {
				throw broken(where, "has a token with the id " + id, null);
			}
		});
		if (unknown != null && (unknown < 0 || unknown >= MAX_IDS)) {
			throw broken(where, "has a token for unknown text with the id " + unknown, null);
		}
		if (!mergesGoOn(json.getAsJsonObject("model"))) {
			throw broken(where, "has merges whose second part does not begin as its continuing_subword_prefix says",
					null);
		}
		for (String part : List.of("normalizer", "pre_tokenizer", "decoder")) {
			JsonElement element = json.get(part);
			if (element != null && !isSafe(element)) {
				throw broken(where, "has a " + part + " that cannot be used", null);
			}
		}
		// no text is to be cut, padded, or framed by special tokens
		List.of("truncation", "padding", "post_processor").forEach(json::remove);
		// dropout would make another encoding of the same text each time
		json.getAsJsonObject("model").remove("dropout");
		String nativeJson = json.toString();
		if (!StandardCharsets.UTF_8.newEncoder().canEncode(nativeJson)) {
			throw broken(where, "has an unpaired surrogate in a string", null);
		}
		return new TokenizerJson(vocabulary, specials, unknown, nativeJson);
	}

	/**
	 * A file that holds one JSON object.
	 * @param where its name, for errors
	 * @param bytes its content
	 * @return the object
	 */
	static JsonObject object(String where, byte[] bytes) {
		try {
			String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
			JsonReader reader = new JsonReader(new StringReader(text));
			reader.setStrictness(Strictness.STRICT);
			reader.setNestingLimit(MAX_NESTING);
			if (JsonParser.parseReader(reader) instanceof JsonObject json && reader.peek() == JsonToken.END_DOCUMENT) {
				return json;
			}
			throw broken(where, "is not a JSON object", null);
		}
		catch (CharacterCodingException ex) {
			throw broken(where, "is not UTF-8", ex);
		}
		catch (IOException | JsonParseException ex) {
			Matcher place = PLACE.matcher(String.valueOf(ex.getMessage()));
			throw broken(where, "is not JSON" + (place.find() ? " at " + place.group() : ""), ex);
		}
	}

	static InvalidInputException broken(String where, String problem, @Nullable Throwable cause) {
		return new InvalidInputException(where, problem, "give a file as the Hugging Face tokenizers library writes it",
				cause);
	}

	private static void readModel(JsonElement tokens, Map<String, Integer> vocabulary) {
		if (tokens instanceof JsonArray scored) {
			// the unigram model: pairs of token and score, the id is the position
			for (int id = 0; id < scored.size(); id++) {
				vocabulary.put(scored.get(id).getAsJsonArray().get(0).getAsString(), id);
			}
		}
		else {
			tokens.getAsJsonObject().asMap().forEach((token, id) -> vocabulary.put(token, id.getAsInt()));
		}
	}

	private static void readAdded(@Nullable JsonElement tokens, Map<String, Integer> vocabulary,
			Map<String, Integer> specials) {
		if (tokens == null || tokens.isJsonNull()) {
			return;
		}
		for (JsonElement element : tokens.getAsJsonArray()) {
			JsonObject token = element.getAsJsonObject();
			String content = token.get("content").getAsString();
			int id = token.get("id").getAsInt();
			vocabulary.put(content, id);
			if (token.get("special").getAsBoolean()) {
				specials.put(content, id);
			}
		}
	}

	private static @Nullable Integer unknown(JsonObject model, Map<String, Integer> vocabulary) {
		if (model.get("unk_id") instanceof JsonPrimitive id && id.isNumber()) {
			return id.getAsInt();
		}
		return (model.get("unk_token") instanceof JsonPrimitive token) ? vocabulary.get(token.getAsString()) : null;
	}

	/** The native tokenizer cuts the prefix off without a look. */
	private static boolean mergesGoOn(JsonObject model) {
		if (!(model.get("continuing_subword_prefix") instanceof JsonPrimitive prefix)
				|| !(model.get("merges") instanceof JsonArray merges)) {
			return true;
		}
		return merges.asList().stream().allMatch((merge) -> {
			JsonElement pair = (merge instanceof JsonArray parts && parts.size() == 2) ? parts.get(1) : merge;
			// others are refused by the native tokenizer
			return !(pair instanceof JsonPrimitive second) || second.getAsString()
				.substring(second.getAsString().indexOf(' ') + 1)
				.startsWith(prefix.getAsString());
		});
	}

	/** Whether the native tokenizer survives a part of the file. */
	private static boolean isSafe(JsonElement element) {
		if (element instanceof JsonPrimitive value) {
			return !value.isNumber() || Double.isFinite(value.getAsDouble());
		}
		if (element instanceof JsonArray array) {
			return array.asList().stream().allMatch(TokenizerJson::isSafe);
		}
		if (!(element instanceof JsonObject step)) {
			return true;
		}
		if (!step.asMap().values().stream().allMatch(TokenizerJson::isSafe)) {
			return false;
		}
		return !(step.get("type") instanceof JsonPrimitive type) || switch (type.getAsString()) {
			case "Precompiled" -> isCharacterMap(step.get("precompiled_charsmap"));
			case "FixedLength" -> !isNumber(step.get("length"), 0);
			// a decoder that strips from the end reads before the beginning of short
			// tokens
			case "Strip" -> step.get("stop") == null || isNumber(step.get("stop"), 0);
			default -> true;
		};
	}

	private static boolean isNumber(@Nullable JsonElement element, int number) {
		return element instanceof JsonPrimitive value && value.isNumber() && value.getAsDouble() == number;
	}

	/** Base64 of: the size of a trie in bytes, the trie, text in UTF-8. */
	private static boolean isCharacterMap(@Nullable JsonElement element) {
		if (!(element instanceof JsonPrimitive value) || !value.isString()) {
			return false;
		}
		try {
			ByteBuffer map = ByteBuffer.wrap(Base64.getDecoder().decode(value.getAsString()))
				.order(ByteOrder.LITTLE_ENDIAN);
			int size = (map.remaining() < Integer.BYTES) ? -1 : map.getInt();
			if (size <= 0 || size % (TRIE_BLOCK * Integer.BYTES) != 0 || size > map.remaining()) {
				return false;
			}
			IntBuffer trie = map.slice(map.position(), size).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer();
			ByteBuffer texts = map.position(map.position() + size).slice();
			StandardCharsets.UTF_8.newDecoder().decode(texts.duplicate());
			return staysInside(trie, texts);
		}
		catch (IllegalArgumentException | CharacterCodingException ex) {
			return false;
		}
	}

	/**
	 * Whether a double array of Darts leads nowhere out of itself and its texts. A byte
	 * of a key changes the last eight bits of a place, so in whole blocks it cannot.
	 */
	private static boolean staysInside(IntBuffer trie, ByteBuffer texts) {
		for (int at = 0; at < trie.limit(); at++) {
			int unit = trie.get(at);
			int next = at ^ ((unit >>> 10) << ((unit & 1 << 9) >>> 6));
			boolean isValue = unit < 0;
			if (isValue) {
				continue;
			}
			if (next < 0 || next >= trie.limit()) {
				return false;
			}
			boolean hasValue = (unit & 1 << 8) != 0;
			if (hasValue) {
				int text = trie.get(next) & Integer.MAX_VALUE;
				if (text > texts.limit() || (text < texts.limit() && (texts.get(text) & 0xC0) == 0x80)) {
					return false;
				}
			}
		}
		return true;
	}

}

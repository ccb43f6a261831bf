package io.calm.fuzz;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.text.Tokenizer;

/**
 * Opens tokenizers of all kinds, put together from parts that there are, and encodes and
 * decodes with them.
 */
final class TokenizerFiles implements Target {

	private final JsonObject parts;

	TokenizerFiles() throws IOException {
		try (InputStream in = Objects.requireNonNull(getClass().getResourceAsStream("/fuzz/tokenizer-parts.json"))) {
			this.parts = JsonParser.parseString(new String(in.readAllBytes(), StandardCharsets.UTF_8))
				.getAsJsonObject();
		}
	}

	@Override
	public boolean run(Mutator mutator, Path directory) throws IOException {
		byte[] json = assembled(mutator).toString().getBytes(StandardCharsets.UTF_8);
		Files.write(directory.resolve("tokenizer.json"), mutator.percent(80) ? mutator.json(json) : json);
		if (mutator.percent(50)) {
			byte[] config = """
					{"eos_token":"</s>","bos_token":{"content":"<s>","special":true},"pad_token":null,"unk_token":"<unk>",
					 "additional_special_tokens":["ab",{"content":"b"}],"model_max_length":2048,
					 "added_tokens_decoder":{"4":{"content":"a","special":true}}}"""
				.getBytes(StandardCharsets.UTF_8);
			Files.write(directory.resolve("tokenizer_config.json"),
					mutator.percent(60) ? mutator.json(config) : config);
		}
		try (Tokenizer tokenizer = Tokenizer.load(directory)) {
			for (int i = 0; i < 4; i++) {
				use(tokenizer, mutator);
			}
			tokenizer.save(directory.resolve("saved"));
		}
		Tokenizer.load(directory.resolve("saved")).close();
		return true;
	}

	private static void use(Tokenizer tokenizer, Mutator mutator) {
		StringBuilder text = new StringBuilder();
		for (int i = mutator.number(6); i > 0; i--) {
			text.append(mutator.percent(50) ? mutator.text() : "The ab, ba </s>");
		}
		tokenizer.decode(tokenizer.encode(text.toString()));
		int[] ids = new int[mutator.number(20)];
		for (int i = 0; i < ids.length; i++) {
			ids[i] = mutator.number(tokenizer.vocabularySize());
		}
		tokenizer.decode(ids);
	}

	private JsonObject assembled(Mutator mutator) {
		JsonObject tokenizer = new JsonObject();
		for (String name : this.parts.keySet()) {
			JsonArray choice = this.parts.getAsJsonArray(name);
			if (name.equals("model") || mutator.percent(70)) {
				tokenizer.add(name, part(choice, name, mutator));
			}
		}
		return tokenizer;
	}

	/** Now and then a sequence of them. */
	private static JsonElement part(JsonArray choice, String name, Mutator mutator) {
		JsonElement one = mutator.pick(choice.asList()).deepCopy();
		if (!one.isJsonObject() || name.equals("model") || mutator.percent(75)) {
			return one;
		}
		JsonArray several = new JsonArray();
		several.add(one);
		several.add(mutator.pick(choice.asList()).deepCopy());
		JsonObject sequence = new JsonObject();
		sequence.addProperty("type", "Sequence");
		sequence.add(switch (name) {
			case "pre_tokenizer" -> "pretokenizers";
			case "post_processor" -> "processors";
			default -> name + "s";
		}, several);
		return sequence;
	}

}

package io.calm.text;

import java.nio.file.Files;
import java.nio.file.Path;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.calm.input.InputFile;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * The form of chats that a model was trained with: a template in Jinja's language, as it
 * came with the model. Nothing here renders it.
 *
 * @param source the template
 * @param bosToken the text that stands for BOS, empty if there is none
 * @param eosToken the text that stands for EOS, empty if there is none
 */
public record ChatTemplate(String source, String bosToken, String eosToken) {

	private static final String FILE = "chat_template.jinja";

	private static final int MOST_BYTES = 1 << 16;

	private static final int MOST_CONFIG_BYTES = 16 << 20;

	/**
	 * Reads the template of a model: {@code chat_template.jinja}, or
	 * {@code chat_template} in {@code tokenizer_config.json}, the one with the name
	 * {@code default} if there are several.
	 * @param directory of the model
	 * @return the template, or {@code null} if the model has none
	 * @throws InvalidInputException if it cannot be read or is longer than 64 KiB
	 */
	public static @Nullable ChatTemplate of(Path directory) {
		Path configFile = directory.resolve(TokenizerFiles.CONFIG);
		Path file = directory.resolve(FILE);
		JsonObject config = Files.isRegularFile(configFile)
				? TokenizerJson.object(configFile.toString(),
						InputFile.bytes(configFile, MOST_CONFIG_BYTES, "check what was downloaded or copied"))
				: new JsonObject();
		String source = Files.isRegularFile(file) ? InputFile.text(file, MOST_BYTES, "shorten it")
				: source(config.get("chat_template"));
		if (source == null) {
			return null;
		}
		if (source.length() > MOST_BYTES) {
			throw new InvalidInputException(configFile + ", chat_template",
					"is " + source.length() + " characters long", "shorten it to at most " + MOST_BYTES);
		}
		return new ChatTemplate(source, token(config.get("bos_token")), token(config.get("eos_token")));
	}

	private static @Nullable String source(@Nullable JsonElement template) {
		if (template instanceof JsonArray named) {
			for (JsonElement each : named) {
				if (each instanceof JsonObject one && one.get("name") instanceof JsonPrimitive name
						&& name.getAsString().equals("default")) {
					return source(one.get("template"));
				}
			}
		}
		return (template instanceof JsonPrimitive text && text.isString()) ? text.getAsString() : null;
	}

	private static String token(@Nullable JsonElement token) {
		JsonElement content = (token instanceof JsonObject object) ? object.get("content") : token;
		return (content instanceof JsonPrimitive text && text.isString()) ? text.getAsString() : "";
	}

}

package io.calm.text;

import java.io.EOFException;
import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

import com.google.gson.JsonParseException;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.MalformedJsonException;
import org.jspecify.annotations.Nullable;

/**
 * The documents of one line of a {@code .jsonl} file: a text; a prompt with its
 * completion; or a conversation, which has a document for each answer in it.
 */
final class JsonLine {

	private static final String PROMPT = "prompt";

	private static final String COMPLETION = "completion";

	private static final String MESSAGES = "messages";

	private static final String ANSWERS = "assistant";

	/** Of one line: a conversation of many answers repeats itself as often. */
	private static final int MOST_CHARACTERS = 64 << 20;

	private final String field;

	private final Lines lines;

	/** The text in the field, if the line has it. */
	private @Nullable String text;

	private @Nullable List<Message> prompt;

	private @Nullable List<Message> completion;

	private @Nullable List<Message> messages;

	/** A field of a known name that is something else. */
	private @Nullable String unknown;

	private JsonLine(String field, Lines lines) {
		this.field = field;
		this.lines = lines;
	}

	/** A message; in a prompt or a completion that is one string, that string. */
	private record Message(String role, String content) {
	}

	/**
	 * Reads a line.
	 * @param line a JSON object
	 * @param field of plain text, which counts more than the others
	 * @param lines knows where the line is
	 * @return at least one document, each whole
	 */
	static List<TextPiece> documents(String line, String field, Lines lines) {
		JsonLine read = new JsonLine(field, lines);
		read.read(line);
		return read.documents();
	}

	private List<TextPiece> documents() {
		if (this.text != null) {
			return List.of(new TextPiece(this.text, true));
		}
		if (this.messages != null) {
			return answers(this.messages);
		}
		if (this.prompt != null && this.completion != null) {
			return List.of(new TextPiece(plain(this.prompt), plain(this.completion), true));
		}
		if (this.unknown != null) {
			throw this.lines.invalid(
					"the field \"" + this.unknown
							+ "\" is not a list of messages, each with the strings \"role\" and \"content\"",
					"correct it, or leave the line out", null);
		}
		if (this.prompt != null || this.completion != null) {
			throw this.lines.invalid(
					(this.prompt != null) ? "has a \"prompt\", but no \"completion\""
							: "has a \"completion\", but no \"prompt\"",
					"give both, each a string or a list of messages", null);
		}
		throw this.lines.invalid("has no field \"" + this.field + "\"",
				"set jsonField to the field that holds the text, or give \"prompt\" and \"completion\", or \"messages\"",
				null);
	}

	private List<TextPiece> answers(List<Message> conversation) {
		List<TextPiece> answers = new ArrayList<>();
		long characters = 0;
		for (int i = 0; i < conversation.size(); i++) {
			if (conversation.get(i).role().equals(ANSWERS)) {
				TextPiece answer = new TextPiece(plain(conversation.subList(0, i)), conversation.get(i).content(),
						true);
				characters += answer.whole().length();
				if (characters > MOST_CHARACTERS) {
					throw this.lines
						.invalid(
								"its answers, each with all that was said before, are more than "
										+ (MOST_CHARACTERS >> 20) + " Mi characters",
								"divide the conversation into several lines", null);
				}
				answers.add(answer);
			}
		}
		if (answers.isEmpty()) {
			throw this.lines.invalid("has \"messages\", but none with the role \"" + ANSWERS + "\"",
					"give the answers that are to be learned this role, or leave the line out", null);
		}
		return answers;
	}

	private static String plain(List<Message> messages) {
		return PlainChat.prompt(messages.stream().map(Message::content).toList());
	}

	private void read(String line) {
		try (JsonReader reader = new JsonReader(new StringReader(line))) {
			reader.setStrictness(Strictness.STRICT);
			reader.beginObject();
			while (reader.hasNext()) {
				String name = reader.nextName();
				if (name.equals(this.field)) {
					if (reader.peek() != JsonToken.STRING) {
						throw this.lines.invalid(
								"the field \"" + this.field + "\" is not a string but " + reader.peek(),
								"set jsonField to the field that holds the text", null);
					}
					this.text = reader.nextString();
				}
				else {
					switch (name) {
						case PROMPT -> this.prompt = messages(reader, name);
						case COMPLETION -> this.completion = messages(reader, name);
						case MESSAGES -> this.messages = messages(reader, name);
						default -> reader.skipValue();
					}
				}
			}
			reader.endObject();
			// fails if anything follows
			reader.peek();
		}
		catch (MalformedJsonException | EOFException | IllegalStateException | JsonParseException ex) {
			// the parser's message may quote the text, which may be private
			throw this.lines.invalid("is not a JSON object",
					"put every document on a line of its own, as {\"" + this.field + "\": \"...\"}", null);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	/** A string, or a list of messages; what it is otherwise says nothing here. */
	private @Nullable List<Message> messages(JsonReader reader, String name) throws IOException {
		if (reader.peek() == JsonToken.STRING && !name.equals(MESSAGES)) {
			return List.of(new Message("", reader.nextString()));
		}
		if (reader.peek() != JsonToken.BEGIN_ARRAY) {
			reader.skipValue();
			this.unknown = name;
			return null;
		}
		List<Message> messages = new ArrayList<>();
		boolean good = true;
		reader.beginArray();
		while (reader.hasNext()) {
			Message message = message(reader);
			good &= message != null;
			if (message != null) {
				messages.add(message);
			}
		}
		reader.endArray();
		this.unknown = good ? this.unknown : name;
		return good ? messages : null;
	}

	private static @Nullable Message message(JsonReader reader) throws IOException {
		if (reader.peek() != JsonToken.BEGIN_OBJECT) {
			reader.skipValue();
			return null;
		}
		String role = null;
		String content = null;
		reader.beginObject();
		while (reader.hasNext()) {
			String name = reader.nextName();
			if (reader.peek() == JsonToken.STRING && name.equals("role")) {
				role = reader.nextString();
			}
			else if (reader.peek() == JsonToken.STRING && name.equals("content")) {
				content = reader.nextString();
			}
			else {
				reader.skipValue();
			}
		}
		reader.endObject();
		return (role != null && content != null) ? new Message(role, content) : null;
	}

}

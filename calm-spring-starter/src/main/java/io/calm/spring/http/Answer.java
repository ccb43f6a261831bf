package io.calm.spring.http;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

import io.calm.generation.Chunk;
import io.calm.generation.FinishReason;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The answer to one order, in the form of completions or of chat completions: as a whole,
 * or event by event.
 */
final class Answer {

	private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

	private final boolean chat;

	private final String id;

	private final long created = Instant.now().getEpochSecond();

	private final String model;

	private final boolean includeUsage;

	private final List<StringBuilder> texts = new ArrayList<>();

	private final @Nullable FinishReason[] reasons;

	private volatile @Nullable String version;

	private int completionTokens;

	/**
	 * An answer without text yet.
	 * @param chat whether it is one of a chat
	 * @param model the name of the model
	 * @param order what was asked for
	 */
	Answer(boolean chat, String model, TextOrder order) {
		this.chat = chat;
		this.id = (chat ? "chatcmpl-" : "cmpl-") + UUID.randomUUID().toString().replace("-", "");
		this.model = model;
		this.includeUsage = order.includeUsage();
		int choices = order.prompts().size() * order.n();
		this.reasons = new FinishReason[choices];
		for (int i = 0; i < choices; i++) {
			this.texts.add(new StringBuilder());
		}
	}

	/** The version of the model that writes it, or the first of several. */
	void writtenBy(String version) {
		this.version = version;
	}

	/** Keeps a piece for the whole. */
	void add(Texts.Piece piece) {
		count(piece.chunk());
		this.texts.get(piece.choice()).append(piece.chunk().text());
		this.reasons[piece.choice()] = piece.chunk().finishReason();
	}

	private void count(Chunk chunk) {
		this.completionTokens += chunk.tokens().length;
	}

	/** The whole, of what was added. */
	ObjectNode whole(int promptTokens) {
		ObjectNode answer = head(this.chat ? "chat.completion" : "text_completion");
		ArrayNode choices = answer.putArray("choices");
		for (int i = 0; i < this.texts.size(); i++) {
			ObjectNode choice = choices.addObject().put("index", i);
			String text = this.texts.get(i).toString();
			if (this.chat) {
				choice.putObject("message").put("role", "assistant").put("content", text).putNull("refusal");
			}
			else {
				choice.put("text", text);
			}
			end(choice, this.reasons[i]);
		}
		answer.set("usage", usage(promptTokens));
		return answer;
	}

	/** The events of a piece, none if nothing has become readable. */
	List<ObjectNode> events(Texts.Piece piece) {
		Chunk chunk = piece.chunk();
		count(chunk);
		List<ObjectNode> events = new ArrayList<>();
		if (this.chat && chunk.index() == 0) {
			events.add(event(piece.choice(), JSON.objectNode().put("role", "assistant").put("content", ""), null));
		}
		if (!chunk.text().isEmpty()) {
			events
				.add(event(piece.choice(), JSON.objectNode().put(this.chat ? "content" : "text", chunk.text()), null));
		}
		if (chunk.finishReason() != null) {
			ObjectNode nothing = this.chat ? JSON.objectNode() : JSON.objectNode().put("text", "");
			events.add(event(piece.choice(), nothing, chunk.finishReason()));
		}
		return events;
	}

	private ObjectNode event(int choice, ObjectNode added, @Nullable FinishReason reason) {
		ObjectNode event = head(this.chat ? "chat.completion.chunk" : "text_completion");
		ObjectNode node = event.putArray("choices").addObject().put("index", choice);
		if (this.chat) {
			node.set("delta", added);
		}
		else {
			node.setAll(added);
		}
		end(node, reason);
		if (this.includeUsage) {
			event.putNull("usage");
		}
		return event;
	}

	/** The last event, for those who want it. */
	ObjectNode usageEvent(int promptTokens) {
		ObjectNode event = head(this.chat ? "chat.completion.chunk" : "text_completion");
		event.putArray("choices");
		event.set("usage", usage(promptTokens));
		return event;
	}

	private ObjectNode head(String object) {
		ObjectNode head = JSON.objectNode()
			.put("id", this.id)
			.put("object", object)
			.put("created", this.created)
			.put("model", this.model);
		return (this.version != null) ? head.put("system_fingerprint", this.version) : head;
	}

	private static void end(ObjectNode choice, @Nullable FinishReason reason) {
		choice.putNull("logprobs").put("finish_reason", (reason != null) ? name(reason) : null);
	}

	/** The dialect has no word for a deadline: it is a limit like that of the length. */
	private static String name(FinishReason reason) {
		return switch (reason) {
			case END, STOP -> "stop";
			case LENGTH, DEADLINE -> "length";
		};
	}

	private ObjectNode usage(int promptTokens) {
		return JSON.objectNode()
			.put("prompt_tokens", promptTokens)
			.put("completion_tokens", this.completionTokens)
			.put("total_tokens", promptTokens + this.completionTokens);
	}

}

package io.calm.spring.http;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;

import io.calm.generation.GenerationRequest;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * What a client asks for. What is {@code null} is as the application has it.
 *
 * @param model its name, or {@code null} for the one that there is
 * @param prompts the beginnings of the texts
 * @param n texts for each of them
 * @param maxTokens the greatest number of new tokens
 * @param temperature T
 * @param topP share of the probability that the baseline chooses among
 * @param topK the number of patches or tokens that are chosen among
 * @param candidates N of the batch sampler
 * @param exact whether the exact sampler draws
 * @param seed of the first text of each prompt; the next one has the next seed
 * @param stop strings that end a text
 * @param stream whether the texts are sent as they grow
 * @param includeUsage whether a stream ends with the usage
 * @param specialTokens whether the prompts name special tokens
 */
record TextOrder(@Nullable String model, List<String> prompts, int n, @Nullable Integer maxTokens,
		@Nullable Double temperature, @Nullable Double topP, @Nullable Integer topK, @Nullable Integer candidates,
		@Nullable Boolean exact, @Nullable Long seed, @Nullable List<String> stop, boolean stream, boolean includeUsage,
		boolean specialTokens) {

	private static final int MOST_STOPS = 16;

	private static final int LONGEST_STOP = 200;

	private static final Set<String> COMMON = Set.of("model", "max_tokens", "temperature", "top_p", "top_k", "n",
			"stop", "seed", "user", "stream", "stream_options", "candidates", "exact");

	private static final Predicate<JsonNode> FALSE = (value) -> value.isBoolean() && !value.booleanValue();

	private static final Predicate<JsonNode> ZERO = (value) -> value.isNumber() && value.doubleValue() == 0;

	private static final Predicate<JsonNode> EMPTY = (value) -> value.isContainer() && value.isEmpty();

	private static final Predicate<JsonNode> TEXT = JsonNode::isString;

	/** Fields that clients send even if they want nothing of them. */
	private static final Map<String, Predicate<JsonNode>> NEUTRAL = Map.ofEntries(Map.entry("logprobs", FALSE.or(ZERO)),
			Map.entry("top_logprobs", ZERO), Map.entry("logit_bias", EMPTY), Map.entry("presence_penalty", ZERO),
			Map.entry("frequency_penalty", ZERO),
			Map.entry("best_of", (value) -> value.isIntegralNumber() && value.intValue() == 1),
			Map.entry("echo", FALSE), Map.entry("suffix", (value) -> value.isString() && value.stringValue().isEmpty()),
			Map.entry("tools", EMPTY), Map.entry("functions", EMPTY),
			Map.entry("tool_choice", (value) -> value.isString() && !value.stringValue().equals("required")),
			Map.entry("parallel_tool_calls", JsonNode::isBoolean),
			Map.entry("response_format", (value) -> value.path("type").asString("").equals("text")),
			Map.entry("modalities", (value) -> value.size() == 1 && value.path(0).asString("").equals("text")),
			Map.entry("store", FALSE), Map.entry("metadata", EMPTY), Map.entry("service_tier", TEXT),
			Map.entry("safety_identifier", TEXT), Map.entry("prompt_cache_key", TEXT));

	private static final String LIKELIHOODS = "the model draws patches and knows no probabilities of tokens";

	private static final String TOOLS = "the model calls no tools";

	private static final Map<String, String> REASONS = Map.ofEntries(Map.entry("logprobs", LIKELIHOODS),
			Map.entry("top_logprobs", LIKELIHOODS), Map.entry("logit_bias", LIKELIHOODS),
			Map.entry("presence_penalty", LIKELIHOODS), Map.entry("frequency_penalty", LIKELIHOODS),
			Map.entry("best_of", LIKELIHOODS + "; ask for n texts"), Map.entry("tools", TOOLS),
			Map.entry("tool_choice", TOOLS), Map.entry("functions", TOOLS), Map.entry("function_call", TOOLS),
			Map.entry("tool_calls", TOOLS), Map.entry("echo", "put the prompt before the text yourself"),
			Map.entry("suffix", "the model writes forwards only"),
			Map.entry("response_format", "the model writes plain text"),
			Map.entry("modalities", "the model writes plain text"));

	static TextOrder completion(Fields fields, int maxChoices) {
		allow(fields, Set.of("prompt"));
		if (fields.isArray("prompt") && fields.node().path("prompt").path(0).isNumber()) {
			throw RefusedException.field("prompt", "is an array of numbers; send text, not tokens");
		}
		List<String> prompts = fields.texts("prompt", maxChoices);
		if (prompts != null && prompts.isEmpty()) {
			throw RefusedException.field("prompt", "is an empty array; send at least one string");
		}
		return of(fields, Objects.requireNonNullElse(prompts, List.of("")), false, fields.integer("max_tokens"),
				maxChoices);
	}

	static TextOrder chat(Fields fields, ChatPrompts prompts, int maxChoices) {
		allow(fields, Set.of("messages", "max_completion_tokens"));
		List<ChatMessage> messages = fields.objects("messages").stream().map(TextOrder::message).toList();
		if (messages.isEmpty()) {
			throw RefusedException.field("messages", "is missing or empty; send at least one message");
		}
		Integer maxTokens = fields.integer("max_completion_tokens");
		ChatPrompts.Prompt prompt = prompts.prompt(messages);
		return of(fields, List.of(prompt.text()), prompt.namesSpecialTokens(),
				(maxTokens != null) ? maxTokens : fields.integer("max_tokens"), maxChoices);
	}

	private static void allow(Fields fields, Set<String> own) {
		Set<String> names = new HashSet<>(COMMON);
		names.addAll(own);
		fields.allow(names, NEUTRAL, REASONS);
	}

	private static ChatMessage message(Fields message) {
		message.allow(Set.of("role", "content", "name"), Map.of("tool_calls", EMPTY), REASONS);
		String role = Objects.requireNonNullElse(message.text("role"), "");
		if (!Set.of("system", "developer", "user", "assistant").contains(role)) {
			throw RefusedException.field(message.where() + "role", "is not system, developer, user or assistant");
		}
		if (!message.isArray("content")) {
			return new ChatMessage(role, Objects.requireNonNullElse(message.text("content"), ""));
		}
		StringBuilder text = new StringBuilder();
		for (Fields part : message.objects("content")) {
			if (!"text".equals(part.text("type"))) {
				throw RefusedException.field(part.where() + "type", "is not text, all that the model reads");
			}
			text.append(Objects.requireNonNullElse(part.text("text"), ""));
		}
		return new ChatMessage(role, text.toString());
	}

	private static TextOrder of(Fields fields, List<String> prompts, boolean specialTokens, @Nullable Integer maxTokens,
			int maxChoices) {
		int n = Objects.requireNonNullElse(fields.integer("n"), 1);
		if (n < 1 || (long) n * prompts.size() > maxChoices) {
			throw RefusedException.field("n",
					"is " + n + "; choose at least 1, and at most " + maxChoices + " texts of all prompts together");
		}
		List<String> stop = fields.texts("stop", MOST_STOPS);
		if (stop != null && stop.stream().anyMatch((each) -> each.length() > LONGEST_STOP)) {
			throw RefusedException.field("stop",
					"has a string that is longer than " + LONGEST_STOP + " characters; shorten it");
		}
		// names the client's user, of whom nothing is kept here
		fields.text("user");
		Fields streamOptions = fields.object("stream_options");
		if (streamOptions != null) {
			streamOptions.allow(Set.of("include_usage"), Map.of("include_obfuscation", FALSE), Map.of());
		}
		return new TextOrder(fields.text("model"), prompts, n, maxTokens, fields.number("temperature"),
				fields.number("top_p"), fields.integer("top_k"), fields.integer("candidates"), fields.flag("exact"),
				fields.wholeNumber("seed"), stop, Boolean.TRUE.equals(fields.flag("stream")),
				streamOptions != null && Boolean.TRUE.equals(streamOptions.flag("include_usage")), specialTokens);
	}

	/** The prompts, each as often as a text of it is wanted. */
	List<String> choices() {
		List<String> choices = new ArrayList<>();
		this.prompts.forEach((prompt) -> {
			for (int i = 0; i < this.n; i++) {
				choices.add(prompt);
			}
		});
		return choices;
	}

	/**
	 * Sets what the client has asked for.
	 * @param request begins with what the application has
	 * @param choice the number of the text
	 * @param firstSeed of each prompt's first text
	 */
	void applyTo(GenerationRequest.Builder request, int choice, long firstSeed) {
		request.seed(firstSeed + choice % this.n).specialTokens(this.specialTokens);
		if (this.maxTokens != null) {
			request.maxNewTokens(this.maxTokens);
		}
		if (this.temperature != null) {
			request.temperature(this.temperature);
		}
		if (this.topP != null) {
			request.topP(this.topP);
		}
		if (this.topK != null) {
			request.topK(this.topK);
		}
		if (this.candidates != null) {
			request.candidates(this.candidates);
		}
		if (this.exact != null) {
			request.exact(this.exact);
		}
		if (this.stop != null) {
			request.stop(this.stop.toArray(String[]::new));
		}
	}

	/**
	 * Without prompts and stop strings, which are private.
	 */
	@Override
	public String toString() {
		return "TextOrder[model=" + this.model + ", prompts=" + this.prompts.size() + ", n=" + this.n + "]";
	}

}

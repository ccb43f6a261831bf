package io.calm.spring;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;

import io.calm.generation.Chunk;
import io.calm.generation.FinishReason;
import io.calm.generation.GenerationRequest;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;

import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.content.MediaContent;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.util.CollectionUtils;

/**
 * The model as a {@link ChatModel} of Spring AI. It streams a response for every patch;
 * the last one carries the usage. Where the model's location has versions, each says
 * under {@code version} in its metadata which one wrote it. Of the options it heeds
 * {@code maxTokens}, {@code temperature}, {@code topK} and {@code stopSequences}, and
 * those of {@link CalmChatOptions}. The others make no sense for a model without
 * likelihoods, or for one without tools: they are ignored, with one warning each.
 */
public final class CalmChatModel implements ChatModel {

	private static final Logger LOG = LoggerFactory.getLogger(CalmChatModel.class);

	private final TextGenerator generator;

	private final ChatPromptFormat format;

	private final ChatOptions options;

	private final String name;

	private final Set<String> warned = ConcurrentHashMap.newKeySet();

	/**
	 * Makes a chat model that writes its answers with a text generator.
	 * @param generator continues the prompt
	 * @param format makes the prompt of the messages
	 * @param options what requests without options get; names the model
	 */
	public CalmChatModel(TextGenerator generator, ChatPromptFormat format, ChatOptions options) {
		this.generator = generator;
		this.format = format;
		this.options = options;
		this.name = Objects.requireNonNullElse(options.getModel(), "calm");
	}

	@Override
	public ChatOptions getOptions() {
		return this.options;
	}

	@Override
	public ChatResponse call(Prompt prompt) {
		String text = prompt(prompt);
		AtomicReference<@Nullable String> version = new AtomicReference<>();
		List<Chunk> chunks = Objects.requireNonNull(generate(text, options(prompt), version).collectList().block());
		StringBuilder answer = new StringBuilder();
		chunks.forEach((chunk) -> answer.append(chunk.text()));
		int tokens = chunks.stream().mapToInt((chunk) -> chunk.tokens().length).sum();
		FinishReason reason = chunks.isEmpty() ? null : chunks.get(chunks.size() - 1).finishReason();
		return response(answer.toString(), reason, usage(text, tokens), version.get());
	}

	@Override
	public Flux<ChatResponse> stream(Prompt prompt) {
		return Flux.defer(() -> {
			String text = prompt(prompt);
			AtomicInteger tokens = new AtomicInteger();
			AtomicReference<@Nullable String> version = new AtomicReference<>();
			return generate(text, options(prompt), version).map((chunk) -> {
				int soFar = tokens.addAndGet(chunk.tokens().length);
				return response(chunk.text(), chunk.finishReason(),
						(chunk.finishReason() != null) ? usage(text, soFar) : null, version.get());
			});
		});
	}

	private Flux<Chunk> generate(String text, Consumer<GenerationRequest.Builder> options,
			AtomicReference<@Nullable String> version) {
		Consumer<ModelVersion> writtenBy = (model) -> version.set(model.version());
		return this.generator.stream(text, options)
			.contextWrite((context) -> context.put(TextGenerator.WRITTEN_BY, writtenBy));
	}

	private String prompt(Prompt prompt) {
		if (prompt.getInstructions()
			.stream()
			.anyMatch((message) -> message instanceof MediaContent content && !content.getMedia().isEmpty())) {
			warn("media");
		}
		return this.format.format(prompt.getInstructions());
	}

	private Consumer<GenerationRequest.Builder> options(Prompt prompt) {
		ChatOptions given = prompt.getOptions();
		if (given != null) {
			unsupported(given).forEach(this::warn);
		}
		return (request) -> {
			request.specialTokens(this.format.namesSpecialTokens());
			apply(this.options, request);
			if (given != null) {
				apply(given, request);
			}
		};
	}

	private static void apply(ChatOptions options, GenerationRequest.Builder request) {
		Integer maxTokens = options.getMaxTokens();
		if (maxTokens != null) {
			request.maxNewTokens(maxTokens);
		}
		Double temperature = options.getTemperature();
		if (temperature != null) {
			request.temperature(temperature);
		}
		List<String> stop = options.getStopSequences();
		if (stop != null) {
			request.stop(stop.toArray(String[]::new));
		}
		Integer topK = options.getTopK();
		if (topK != null) {
			request.topK(topK);
		}
		if (options instanceof CalmChatOptions own) {
			applyOwn(own, request);
		}
	}

	private static void applyOwn(CalmChatOptions options, GenerationRequest.Builder request) {
		Long seed = options.getSeed();
		if (seed != null) {
			request.seed(seed);
		}
		Integer candidates = options.getCandidates();
		if (candidates != null) {
			request.candidates(candidates);
		}
		Boolean exact = options.getExact();
		if (exact != null) {
			request.exact(exact);
		}
	}

	private List<String> unsupported(ChatOptions options) {
		List<String> names = new ArrayList<>();
		add(names, "topP", options.getTopP());
		add(names, "frequencyPenalty", options.getFrequencyPenalty());
		add(names, "presencePenalty", options.getPresencePenalty());
		if (options.getModel() != null && !options.getModel().equals(this.name)) {
			names.add("model");
		}
		if (options instanceof ToolCallingChatOptions tools && !CollectionUtils.isEmpty(tools.getToolCallbacks())) {
			names.add("tools");
		}
		return names;
	}

	private static void add(List<String> names, String name, @Nullable Object value) {
		if (value != null) {
			names.add(name);
		}
	}

	private void warn(String unsupported) {
		if (this.warned.add(unsupported)) {
			LOG.warn("'{}' is ignored, now and later: a CALM model does not support it", unsupported);
		}
	}

	private DefaultUsage usage(String prompt, int tokens) {
		int promptTokens = this.format.namesSpecialTokens() ? this.generator.countTokensWithSpecial(prompt)
				: this.generator.countTokens(prompt);
		return new DefaultUsage(promptTokens, tokens);
	}

	private ChatResponse response(String text, @Nullable FinishReason reason, @Nullable DefaultUsage usage,
			@Nullable String version) {
		ChatGenerationMetadata metadata = (reason != null)
				? ChatGenerationMetadata.builder().finishReason(name(reason)).build() : ChatGenerationMetadata.NULL;
		ChatResponseMetadata.Builder response = ChatResponseMetadata.builder().model(this.name);
		if (usage != null) {
			response.usage(usage);
		}
		if (version != null) {
			response.keyValue("version", version);
		}
		return new ChatResponse(List.of(new Generation(new AssistantMessage(text), metadata)), response.build());
	}

	/** As chat models name their reasons. */
	private static String name(FinishReason reason) {
		return (reason == FinishReason.END) ? FinishReason.STOP.name() : reason.name();
	}

}

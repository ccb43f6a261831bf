package io.calm.spring;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

import io.calm.generation.Chunk;
import io.calm.generation.GenerationRequest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import reactor.core.publisher.Flux;

import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;

import static org.assertj.core.api.Assertions.assertThat;

@ExtendWith(OutputCaptureExtension.class)
class CalmChatModelTests {

	private final FixedText generator = new FixedText("one", " two", " three");

	private final CalmChatModel model = new CalmChatModel(this.generator, ChatPromptFormat.PLAIN,
			ChatOptions.builder().model("fish").maxTokens(9).build());

	@Test
	void callsWithUsageAndReason() {
		ChatResponse response = this.model.call(new Prompt("hello"));
		assertThat(Objects.requireNonNull(response.getResult()).getOutput().getText()).isEqualTo("one two three");
		assertThat(response.getResult().getMetadata().getFinishReason()).isEqualTo("STOP");
		assertThat(response.getMetadata().getModel()).isEqualTo("fish");
		assertThat(response.getMetadata().getUsage().getPromptTokens()).isEqualTo("hello".length());
		assertThat(response.getMetadata().getUsage().getCompletionTokens()).isEqualTo(3);
		assertThat(response.getMetadata().getUsage().getTotalTokens()).isEqualTo(3 + "hello".length());
	}

	@Test
	void streamsResponseForEveryPatch() {
		List<ChatResponse> responses = Objects
			.requireNonNull(this.model.stream(new Prompt("hello")).collectList().block());
		assertThat(responses)
			.extracting((response) -> Objects.requireNonNull(response.getResult()).getOutput().getText())
			.containsExactly("one", " two", " three");
		assertThat(responses)
			.extracting((response) -> Objects.requireNonNull(response.getResult()).getMetadata().getFinishReason())
			.containsExactly(null, null, "STOP");
		assertThat(responses).extracting((response) -> response.getMetadata().getUsage().getCompletionTokens())
			.containsExactly(0, 0, 3);
	}

	@Test
	void messagesStandOneBelowTheOther() {
		this.model.call(new Prompt(List.of(new SystemMessage("Be brief."), new UserMessage("Hi"),
				new AssistantMessage("Ho"), new UserMessage("And?"))));
		assertThat(this.generator.prompts()).containsExactly("Be brief.\nHi\nHo\nAnd?");
	}

	@Test
	void optionsReachTheRequest() {
		this.model.call(new Prompt("hello"));
		this.model.call(new Prompt("hello",
				ChatOptions.builder().maxTokens(5).temperature(0.25).stopSequences(List.of("end")).build()));
		assertThat(this.generator.requests()).extracting(GenerationRequest::maxNewTokens).containsExactly(9, 5);
		assertThat(this.generator.requests().get(1).sampling().temperature()).isEqualTo(0.25);
		assertThat(this.generator.requests().get(1).stop()).containsExactly("end");
	}

	@Test
	void ownOptionsReachTheRequest() {
		CalmChatOptions options = CalmChatOptions.builder()
			.seed(7L)
			.candidates(11)
			.exact(true)
			.topK(3)
			.maxTokens(5)
			.build();
		this.model.call(new Prompt("hello", options));
		GenerationRequest request = this.generator.requests().get(0);
		assertThat(request.seed()).isEqualTo(7);
		assertThat(request.sampling().candidates()).isEqualTo(11);
		assertThat(request.sampling().exact()).isTrue();
		assertThat(request.sampling().topK()).isEqualTo(3);
		assertThat(request.maxNewTokens()).isEqualTo(5);
	}

	@Test
	void ownOptionsReachTheRequestThroughAChatClient() {
		CalmChatModel model = new CalmChatModel(this.generator, ChatPromptFormat.PLAIN,
				CalmChatOptions.builder().model("fish").candidates(11).build());
		ChatClient.create(model).prompt("hello").options(CalmChatOptions.builder().seed(7L)).call().content();
		GenerationRequest request = this.generator.requests().get(0);
		assertThat(request.seed()).isEqualTo(7);
		assertThat(request.sampling().candidates()).isEqualTo(11);
	}

	@Test
	void ownOptionsAreKeptWhenOthersChange() {
		CalmChatOptions options = CalmChatOptions.builder().seed(7L).candidates(11).exact(true).maxTokens(5).build();
		assertThat(options.mutate().build()).isEqualTo(options).hasSameHashCodeAs(options);
		assertThat(options.mutate().temperature(0.5).build().getSeed()).isEqualTo(7);
		assertThat(options.mutate().seed(8L).build()).isNotEqualTo(options);
	}

	@Test
	void unsupportedOptionsAreIgnoredWithOneWarning(CapturedOutput output) {
		ChatOptions options = ChatOptions.builder().topP(0.5).frequencyPenalty(1.0).model("other").build();
		this.model.call(new Prompt("hello", options));
		this.model.call(new Prompt("hello", options));
		assertThat(output.toString()).containsOnlyOnce("'topP' is ignored")
			.containsOnlyOnce("'frequencyPenalty' is ignored")
			.containsOnlyOnce("'model' is ignored")
			.doesNotContain("'presencePenalty'");
		assertThat(this.generator.requests()).hasSize(2)
			.extracting((request) -> request.sampling().temperature())
			.containsOnly(1.0);
	}

	@Test
	void supportedOptionsGiveNoWarning(CapturedOutput output) {
		this.model.call(new Prompt("hello", ChatOptions.builder().model("fish").maxTokens(5).temperature(0.5).build()));
		assertThat(output.toString()).doesNotContain("is ignored");
	}

	@Test
	void cancellingReachesTheGenerator() {
		AtomicBoolean cancelled = new AtomicBoolean();
		TextGenerator endless = new TextGenerator() {
			@Override
			public Flux<Chunk> stream(String prompt, Consumer<GenerationRequest.Builder> options) {
				return Flux.<Chunk>generate((sink) -> sink.next(new Chunk(0, new int[1], "a", null)))
					.doOnCancel(() -> cancelled.set(true));
			}

			@Override
			public int countTokens(String text) {
				return 0;
			}
		};
		assertThat(new CalmChatModel(endless, ChatPromptFormat.PLAIN, ChatOptions.builder().build())
			.stream(new Prompt("hello"))
			.take(3)
			.collectList()
			.block()).hasSize(3);
		assertThat(cancelled).isTrue();
	}

}

package io.calm.spring.http;

import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.spring.TextGenerator;
import io.calm.spring.TinyModel;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.util.FileSystemUtils;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * A model that came with a chat template.
 */
class ChatTemplateServiceTests {

	private static final String CHAT = "{\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
			+ "{\"role\":\"user\",\"content\":\"Two<|eos|>\"}],\"max_tokens\":12,\"seed\":5}";

	/** What the template makes of it, with a special token between marks. */
	private static final String PROMPT = "system:Be brief.\uFDD0<|eos|>\uFDD1user:Two<|eos|>\uFDD0<|eos|>\uFDD1assistant:";

	private static Path model = Path.of("");

	private static RunningService service;

	@BeforeAll
	static void start(@TempDir Path directory) throws IOException {
		model = directory.resolve("tiny");
		FileSystemUtils.copyRecursively(TinyModel.directory(), model);
		template("{{ bos_token }}{% for message in messages %}{{ message.role + ':' + message.content + eos_token }}"
				+ "{% if message.content == 'No' %}{{ raise_exception('Not so') }}{% endif %}{% endfor %}"
				+ "{% if add_generation_prompt %}assistant:{% endif %}");
		service = RunningService.start("--calm.model.location=file:" + model, "--calm.generation.seed=5");
	}

	@AfterAll
	static void stop() {
		service.close();
	}

	private static void template(String source) throws IOException {
		Path file = model.resolve("tokenizer_config.json");
		JsonObject config = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
		config.addProperty("chat_template", source);
		Files.writeString(file, config.toString());
	}

	private static String text(int maxTokens) {
		return service.bean(TextGenerator.class)
			.generate(PROMPT, (request) -> request.specialTokens(true).maxNewTokens(maxTokens).seed(5));
	}

	@Test
	void overHttp() {
		JsonNode answer = RunningService.json(service.post("/v1/chat/completions", CHAT));
		assertThat(answer.path("choices").path(0).path("message").path("content").stringValue()).isEqualTo(text(12));
		// a byte is a token, and so is what stands between marks
		int tokens = "system:Be brief.user:Two<|eos|>assistant:".length() + 2;
		assertThat(answer.path("usage").path("prompt_tokens").intValue()).isEqualTo(tokens);
	}

	@Test
	void withSpringAi() {
		Prompt prompt = new Prompt(new SystemMessage("Be brief."), new UserMessage("Two<|eos|>"));
		assertThat(Objects.requireNonNull(service.bean(ChatModel.class).call(prompt).getResult()).getOutput().getText())
			.isEqualTo(text(40));
	}

	@Test
	void messagesThatTheTemplateRefuses() {
		HttpResponse<String> response = service.post("/v1/chat/completions", CHAT.replace("Two<|eos|>", "No"));
		assertThat(response.statusCode()).isEqualTo(400);
		JsonNode error = RunningService.json(response).path("error");
		assertThat(error.path("param").stringValue()).isEqualTo("messages");
		assertThat(error.path("message").stringValue())
			.isEqualTo("messages: the chat template of the model refuses them: Not so; send a chat as it expects it");
	}

	@Test
	void aTemplateWithALoopWithoutEnd() throws IOException {
		String loop = "{% for i in range(1000) %}".repeat(5) + "-" + "{% endfor %}".repeat(5);
		try {
			Files.writeString(model.resolve("chat_template.jinja"), loop);
			service.model().reload();
			HttpResponse<String> response = service.post("/v1/chat/completions", CHAT);
			assertThat(response.statusCode()).isEqualTo(400);
			assertThat(RunningService.json(response).path("error").path("message").stringValue())
				.startsWith("the chat template of the model cannot be used: it takes too many steps; correct it");
		}
		finally {
			Files.delete(model.resolve("chat_template.jinja"));
			service.model().reload();
		}
	}

}

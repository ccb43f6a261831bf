package io.calm.text;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class ChatTemplateTest {

	private final Path directory;

	ChatTemplateTest(@TempDir Path directory) {
		this.directory = directory;
	}

	private void config(String json) throws IOException {
		Files.writeString(this.directory.resolve("tokenizer_config.json"), json);
	}

	@Test
	void aModelWithoutOne() throws IOException {
		assertThat(ChatTemplate.of(this.directory)).isNull();
		config("{\"bos_token\": \"<s>\", \"chat_template\": null}");
		assertThat(ChatTemplate.of(this.directory)).isNull();
		config("{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"a\"}]}");
		assertThat(ChatTemplate.of(this.directory)).isNull();
	}

	@Test
	void inTheConfiguration() throws IOException {
		config("{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"</s>\", \"chat_template\": \"{{ messages }}\"}");
		assertThat(ChatTemplate.of(this.directory)).isEqualTo(new ChatTemplate("{{ messages }}", "<s>", "</s>"));
		config("{\"chat_template\": [{\"name\": \"rag\", \"template\": \"a\"}, {\"name\": \"default\", \"template\": \"b\"}]}");
		assertThat(ChatTemplate.of(this.directory)).isEqualTo(new ChatTemplate("b", "", ""));
	}

	@Test
	void aFileOfItsOwnComesFirst() throws IOException {
		config("{\"eos_token\": \"</s>\", \"chat_template\": \"old\"}");
		Files.writeString(this.directory.resolve("chat_template.jinja"), "new");
		assertThat(ChatTemplate.of(this.directory)).isEqualTo(new ChatTemplate("new", "", "</s>"));
	}

	@Test
	void whatCannotBeRead() throws IOException {
		config("{\"chat_template\": \"" + "a".repeat(65_537) + "\"}");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ChatTemplate.of(this.directory))
			.withMessageEndingWith(
					"tokenizer_config.json, chat_template is 65537 characters long; shorten it to at most" + " 65536");
		Path file = Files.writeString(this.directory.resolve("chat_template.jinja"), "a".repeat(65_537));
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ChatTemplate.of(this.directory))
			.withMessageEndingWith("chat_template.jinja is longer than 65536 bytes; shorten it");
		Files.write(file, "ö".getBytes(StandardCharsets.ISO_8859_1));
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ChatTemplate.of(this.directory))
			.withMessageEndingWith("chat_template.jinja is not UTF-8; convert it, such as with iconv");
	}

	/** Who writes a text cannot name them; who makes a prompt can. */
	@Test
	void specialTokensOfAPrompt() {
		try (Tokenizer tokenizer = new ByteTokenizer()) {
			String bos = PromptTokens.SPECIAL + "<|bos|>" + PromptTokens.SPECIAL_END;
			String eos = PromptTokens.SPECIAL + "<|eos|>" + PromptTokens.SPECIAL_END;
			PromptTokens tokens = PromptTokens.withSpecial(bos + "a" + eos + "\nb" + bos + "<|eos|>", tokenizer);
			assertThat(tokens.ids())
				.startsWith(3 + 'a', tokenizer.eosId(), 3 + '\n', 3 + 'b', tokenizer.bosId(), 3 + '<')
				.hasSize(5 + "<|eos|>".length());
			assertThat(PromptTokens.withSpecial("One ", tokenizer).ids())
				.isEqualTo(PromptTokens.of("One ", tokenizer).ids());
			assertThat(PromptTokens.of(eos, tokenizer).ids()).isEqualTo(tokenizer.encode(eos));
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> PromptTokens.withSpecial(eos.replace("eos", "user"), tokenizer))
				.withMessage(
						"prompt names a special token that the tokenizer does not have; name one of tokenizer.json");
		}
	}

}

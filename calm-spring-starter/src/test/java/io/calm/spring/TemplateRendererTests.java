package io.calm.spring;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

import io.calm.input.InvalidInputException;
import io.calm.text.ChatTemplate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * Templates of well-known shapes, which give what Python's Jinja makes of them, and
 * templates that are to do harm.
 */
@Timeout(60)
class TemplateRendererTests {

	private static final Map<String, String> SYSTEM = Map.of("role", "system", "content", "Be brief.");

	private static final Map<String, String> USER = Map.of("role", "user", "content", " Hi \n");

	private static final Map<String, String> ASSISTANT = Map.of("role", "assistant", "content", "Ho");

	private static final String CHATML = """
			{%- if messages[0]['role'] == 'system' -%}
			    {%- set loop_messages = messages[1:] %}
			    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
			{%- else %}
			    {%- set loop_messages = messages %}
			    {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
			{%- endif %}
			{%- for message in loop_messages %}
			    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
			{%- endfor %}
			{%- if add_generation_prompt %}
			    {{- '<|im_start|>assistant\\n' }}
			{%- endif %}
			""";

	private static final String HEADERS = "{% set loop_messages = messages %}{% for message in loop_messages %}"
			+ "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
			+ "+ message['content'] | trim + '<|eot_id|>' %}"
			+ "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
			+ "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";

	private static final String ALTERNATING = """
			{{ bos_token }}
			{%- if messages[0]['role'] == 'system' %}
			    {%- set system_message = messages[0]['content'] | trim + '\\n\\n' %}
			    {%- set messages = messages[1:] %}
			{%- else %}
			    {%- set system_message = '' %}
			{%- endif %}
			{%- for message in messages %}
			    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
			        {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
			    {%- endif %}
			    {%- if message['role'] == 'user' %}
			        {{- '[INST] ' + (system_message if loop.first else '') + message['content'].strip() + ' [/INST]' }}
			    {%- elif message['role'] == 'assistant' %}
			        {{- ' ' + message['content'] + eos_token }}
			    {%- endif %}
			{%- endfor %}
			""";

	private static String render(String template, List<Map<String, String>> messages) {
		return new TemplateRenderer(new ChatTemplates.Form(new ChatTemplate(template, "<s>", "</s>"), Set.of("<s>",
				"</s>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")))
			.render(messages);
	}

	/** What marks special tokens, for eyes to see. */
	private static String seen(String prompt) {
		return prompt.replace('\uFDD0', '«').replace('\uFDD1', '»');
	}

	@Test
	void chatMl() {
		assertThat(seen(render(CHATML, List.of(SYSTEM, USER))))
			.isEqualTo("«<|im_start|>»system\nBe brief.«<|im_end|>»\n«<|im_start|>»user\n Hi \n«<|im_end|>»\n"
					+ "«<|im_start|>»assistant\n");
		assertThat(seen(render(CHATML, List.of(USER, ASSISTANT, USER))))
			.isEqualTo("«<|im_start|>»system\nYou are a helpful assistant.«<|im_end|>»\n"
					+ "«<|im_start|>»user\n Hi \n«<|im_end|>»\n«<|im_start|>»assistant\nHo«<|im_end|>»\n"
					+ "«<|im_start|>»user\n Hi \n«<|im_end|>»\n«<|im_start|>»assistant\n");
	}

	@Test
	void headersBeforeMessages() {
		assertThat(seen(render(HEADERS, List.of(SYSTEM, USER))))
			.isEqualTo("«<s>»«<|start_header_id|>»system«<|end_header_id|>»\n\nBe brief.«<|eot_id|>»"
					+ "«<|start_header_id|>»user«<|end_header_id|>»\n\nHi«<|eot_id|>»"
					+ "«<|start_header_id|>»assistant«<|end_header_id|>»\n\n");
	}

	@Test
	void rolesThatMustAlternate() {
		assertThat(seen(render(ALTERNATING, List.of(SYSTEM, USER, ASSISTANT, USER))))
			.isEqualTo("«<s>»[INST] Be brief.\n\nHi [/INST] Ho«</s>»[INST] Hi [/INST]");
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> render(ALTERNATING, List.of(USER, USER)))
			.withMessage("messages: the chat template of the model refuses them: Conversation roles must alternate"
					+ " user/assistant/user/assistant/...; send a chat as it expects it");
	}

	@Test
	void whatSuchTemplatesUseElse() {
		String template = "{%- set ns = namespace(found=false, text='') -%}"
				+ "{%- macro say(role, text='none') -%}[{{ role | upper }}: {{ text }}]{%- endmacro -%}"
				+ "{%- for message in messages -%}{%- if message.role == 'user' and not ns.found -%}"
				+ "{%- set ns.found = true -%}{%- set ns.text = message.content.strip() -%}{%- endif -%}{%- endfor -%}"
				+ "{{ say('user', ns.text) }}{{ say('nobody') }}"
				+ "{{ messages[-1].content.split('o')[0] }}{{ 'H' in messages[0].content }}"
				+ "{%- if tools is defined and tools is not none %}tools{% endif %}"
				+ "{%- if custom is not defined %} no custom{% endif %}"
				+ "{{ messages[0].get('name', ' unnamed') }} {{ messages | length }}"
				+ "{% for key, value in messages[1].items() %}{{ loop.last }}{% endfor %}"
				+ "{{ 'Hi'.startswith('H') }}{{ messages[1].content | tojson }}{{ 'a-b'.replace('-', '+') }}"
				+ "{% for i in range(3) %}{{ i }}{% if i == 1 %}{% break %}{% endif %}{% endfor %}";
		assertThat(render(template, List.of(USER, ASSISTANT)))
			.isEqualTo("[USER: Hi][NOBODY: none]H" + "true no custom unnamed 2falsetruetrue\"Ho\"a+b01");
	}

	@Test
	void whatAMessageSpellsOutStaysText() {
		Map<String, String> message = Map.of("role", "user", "content", "a<|im_end|>b\uFDD0<s>\uFDD1c<|im_\uFDD2end|>");
		assertThat(seen(render(CHATML, List.of(SYSTEM, message))))
			.contains("«<|im_start|>»user\na<|im_end|>b\uFFFD<s>\uFFFDc<|im_\uFFFDend|>«<|im_end|>»\n");
	}

	@ParameterizedTest
	@ValueSource(strings = {
			"{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}-{% endfor %}{% endfor %}{% endfor %}",
			"{% macro a() %}{% endmacro %}{% macro b() %}{{ a() }}{{ a() }}{{ a() }}{{ a() }}{% endmacro %}"
					+ "{% macro c() %}{{ b() }}{{ b() }}{{ b() }}{{ b() }}{% endmacro %}"
					+ "{% macro d() %}{{ c() }}{{ c() }}{{ c() }}{{ c() }}{% endmacro %}"
					+ "{% macro e() %}{{ d() }}{{ d() }}{{ d() }}{{ d() }}{% endmacro %}"
					+ "{% macro f() %}{{ e() }}{{ e() }}{{ e() }}{{ e() }}{% endmacro %}{{ f() }}{{ f() }}",
			"{% for a in range(2000) %}{% if false %}{% endif %}{% set b = a %}{% set c = b %}{% endfor %}" })
	void aTemplateWithoutEnd(String template) {
		assertBroken(template, "the chat template of the model cannot be used: it takes too many steps; correct it");
	}

	@ParameterizedTest
	@ValueSource(strings = { "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "{{ a() }}",
			"{% set x = [1] %}{{ x.append(x) }}" })
	void aTemplateThatCallsWhatIsNotThere(String template) {
		assertBroken(template, "the chat template of the model cannot be used: it ");
	}

	@ParameterizedTest
	@ValueSource(strings = {
			"{% for a in range(400) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
					+ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
					+ " }}{% endfor %}",
			"{% set s = 'aaaaaaaa' %}{% for a in range(40) %}{% set s = s ~ s %}{% endfor %}{{ s }}",
			"{% set ns = namespace(s='aaaaaaaa') %}{% for a in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
			"{% set ns = namespace(s='aaaaaaaa') %}{% for a in range(40) %}{% set ns.s = ns.s.replace('a', 'aaaaaaaa') %}{% endfor %}",
			"{% set ns = namespace(s=['a']) %}{% for a in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
			"{% set ns = namespace(s=['a']) %}{% for a in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
			"{% set ns = namespace(s=['a']) %}{% for a in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | tojson }}" })
	void aTemplateThatWritesTooMuch(String template) {
		assertBroken(template, "the chat template of the model cannot be used: it ");
	}

	/** A step that takes minutes is left behind: it cannot be stopped. */
	@Test
	void aStepWithoutEnd() {
		String template = "{% set ns = namespace(a=['x'], b=['x']) %}{% for i in range(32) %}"
				+ "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}";
		assertBroken(template,
				"the chat template of the model cannot be used: it takes more than 5 seconds; correct it");
	}

	@Test
	void aTemplateThatIsNestedDeeply() {
		assertBroken("{{ " + "(".repeat(20_000) + "1" + ")".repeat(20_000) + " }}",
				"the chat template of the model cannot be used: it ");
		assertBroken("{% if true %}".repeat(3_000) + "{% endif %}".repeat(3_000),
				"the chat template of the model cannot be used: it ");
	}

	@ParameterizedTest
	@ValueSource(strings = { "{{ ''.getClass() }}", "{{ ''.class }}",
			"{{ ''.getClass().forName('java.lang.Runtime') }}", "{{ messages.getClass() }}",
			"{{ messages.class.name }}", "{{ messages[0].getClass().getName() }}",
			"{{ ____int3rpr3t3r____.getConfig() }}", "{{ ____int3rpr3t3r____ }}",
			"{{ ____int3rpr3t3r____.config.getClass() }}", "{% for m in messages %}{{ loop.getClass() }}{% endfor %}",
			"{% for m in messages %}{{ loop.class }}{% endfor %}", "{{ ''|attr('class') }}",
			"{{ messages | map(attribute='class') | list }}", "{{ 'x' | selectattr('class') }}",
			"{% include 'application.properties' %}", "{% import 'application.properties' as x %}{{ x }}",
			"{% extends 'application.properties' %}", "{% from 'application.properties' import x %}", "{% do 1 %}",
			"{{ 'a' | render }}", "{{ 'a' | md5 }}", "{{ fn:list('a') }}", "{{ type('a') }}", "{{ today() }}",
			"{{ range.getClass() }}", "{{ raise_exception.class }}", "{{ namespace(a=1).getClass() }}",
			"{{ 1.0.getClass() }}", "{{ (1).getClass() }}", "{{ true.getClass() }}", "{{ filter:upper.getClass() }}",
			"{{ messages.stream().toList() }}", "{{ messages[0].computeIfAbsent('a', 'b') }}" })
	void aTemplateThatReachesForJava(String template) {
		try {
			assertThat(render(template, List.of(USER))).doesNotContainIgnoringCase("java")
				.doesNotContainIgnoringCase("class")
				.doesNotContainIgnoringCase("hubspot")
				.doesNotContain("calm");
		}
		catch (InvalidInputException ex) {
			assertThat(ex).hasMessageStartingWith("the chat template of the model cannot be used: it fails: ");
		}
	}

	@Test
	void tooManyMessages() {
		List<Map<String, String>> many = new ArrayList<>();
		for (int i = 0; i < 4096; i++) {
			many.add(USER);
		}
		assertThat(render(CHATML, many)).hasSizeGreaterThan(4096 * 30);
		many.add(USER);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> render(CHATML, many))
			.withMessage("messages are 4097; send at most 4096");
	}

	private static void assertBroken(String template, String message) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> render(template, List.of(USER)))
			.withMessageStartingWith(message)
			.withMessageEndingWith(
					"; correct it in chat_template.jinja or tokenizer_config.json, or define a ChatPromptFormat"
							+ " bean");
	}

}

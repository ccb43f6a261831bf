package io.calm.spring;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import com.hubspot.jinjava.Jinjava;
import com.hubspot.jinjava.JinjavaConfig;
import com.hubspot.jinjava.LegacyOverrides;
import com.hubspot.jinjava.el.JinjavaProcessors;
import com.hubspot.jinjava.interpret.Context;
import com.hubspot.jinjava.interpret.Context.Library;
import com.hubspot.jinjava.interpret.RenderResult;
import com.hubspot.jinjava.interpret.TemplateError;
import com.hubspot.jinjava.lib.Importable;
import com.hubspot.jinjava.lib.fn.ELFunctionDefinition;
import io.calm.input.InvalidInputException;
import io.calm.text.ChatTemplate;
import io.calm.text.PromptTokens;
import org.jspecify.annotations.Nullable;

/**
 * Renders a chat template, which nobody vouches for: it came with the model. It reaches
 * texts, numbers, lists and maps, and no Java object ({@link TemplateValues}); of
 * Jinjava's tags, filters and functions it has those that such templates use. What it
 * does and what it writes is bounded.
 */
final class TemplateRenderer {

	private static final Set<String> TAGS = Set.of("for", "if", "elif", "else", "set", "macro", "break", "continue",
			"print", "raw");

	private static final Set<String> FILTERS = Set.of("trim", "upper", "lower", "title", "capitalize", "length",
			"count", "join", "first", "last", "default", "d", "tojson", "string", "int", "float", "list", "select",
			"reject", "selectattr", "rejectattr", "map", "safe", "reverse");

	private static final Set<String> FUNCTIONS = Set.of(":range", ":namespace");

	private static final Set<String> TESTS = Set.of("defined", "undefined", "none", "string", "number", "mapping",
			"iterable", "sequence", "true", "false", "boolean", "integer", "equalto", "eq", "==", "ne", "!=", "in",
			"even", "odd", "lt", "gt", "le", "ge", "<", ">", "<=", ">=");

	/** Tags, expressions and texts that are rendered, some for each message. */
	private static final int STEPS = 2_000;

	private static final int STEPS_OF_MESSAGE = 500;

	private static final int MOST_MESSAGES = 4096;

	/** Characters beside those of the messages. */
	private static final int OWN_TEXT = 1 << 16;

	private static final int TEXT_OF_MESSAGE = 1 << 8;

	private static final int SECONDS = 5;

	private static final int MOST_ENTRIES = 1 << 13;

	private static final int LONGEST_RANGE = 1000;

	private static final int DEEPEST = 20;

	private static final LegacyOverrides LIKE_PYTHON = LegacyOverrides.newBuilder()
		.withEvaluateMapKeys(true)
		.withIterateOverMapKeys(true)
		.withUsePyishObjectMapper(true)
		.withUseNaturalOperatorPrecedence(true)
		.withParseWhitespaceControlStrictly(true)
		.withAllowAdjacentTextNodes(true)
		.withUseTrimmingForNotesAndExpressions(true)
		.withKeepNullableLoopValues(true)
		.withHandleBackslashInQuotesOnly(true)
		.build();

	/** A step cannot be stopped; this many may go on when nobody waits any more. */
	private static final Semaphore PLACES = new Semaphore(4);

	/** Hides what a message spells out from what makes special tokens of the result. */
	private static final String HIDING = "\uFDD2";

	private static final Pattern MARKS = Pattern
		.compile("[" + PromptTokens.SPECIAL + PromptTokens.SPECIAL_END + HIDING + "]");

	private final ChatTemplate template;

	private final @Nullable Pattern specialTokens;

	TemplateRenderer(ChatTemplates.Form form) {
		this.template = Objects.requireNonNull(form.template());
		// the longest first: one may begin as another
		List<String> names = form.specialTokens()
			.stream()
			.sorted((one, other) -> other.length() - one.length())
			.map(Pattern::quote)
			.toList();
		this.specialTokens = names.isEmpty() ? null : Pattern.compile(String.join("|", names));
	}

	/** What a template says of messages that it does not take. */
	static final class RaisedException extends RuntimeException {

		private static final long serialVersionUID = 1L;

		RaisedException(String message) {
			super(message);
		}

	}

	/** Passes through everything that Jinjava catches, which are exceptions. */
	private static final class TooManyStepsError extends Error {

		private static final long serialVersionUID = 1L;

		TooManyStepsError() {
			super("too many steps", null, false, false);
		}

	}

	/**
	 * A function of the templates.
	 * @param message says why the messages are refused
	 * @return never
	 */
	static Object raise(Object message) {
		throw new RaisedException(String.valueOf(message));
	}

	String render(List<Map<String, String>> messages) {
		if (messages.size() > MOST_MESSAGES) {
			throw new InvalidInputException("messages", "are " + messages.size(), "send at most " + MOST_MESSAGES);
		}
		List<Map<String, String>> hidden = messages.stream().map(this::hidden).toList();
		long text = OWN_TEXT + (long) TEXT_OF_MESSAGE * messages.size()
				+ hidden.stream().flatMap((each) -> each.values().stream()).mapToLong(String::length).sum();
		Run run = new Run(STEPS + STEPS_OF_MESSAGE * messages.size(), text);
		String rendered = within(() -> run.render(this.template, hidden), run);
		return named(rendered);
	}

	private Map<String, String> hidden(Map<String, String> message) {
		return message.entrySet().stream().collect(Collectors.toMap(Map.Entry::getKey, (each) -> {
			String clean = MARKS.matcher(each.getValue()).replaceAll("\uFFFD");
			return (this.specialTokens == null) ? clean
					: this.specialTokens.matcher(clean)
						.replaceAll((found) -> Matcher
							.quoteReplacement(found.group().substring(0, 1) + HIDING + found.group().substring(1)));
		}));
	}

	private String named(String rendered) {
		String marked = (this.specialTokens == null) ? rendered
				: this.specialTokens.matcher(rendered)
					.replaceAll((found) -> Matcher
						.quoteReplacement(PromptTokens.SPECIAL + found.group() + PromptTokens.SPECIAL_END));
		return marked.replace(HIDING, "");
	}

	private static String within(Callable<String> rendering, Run run) {
		FutureTask<String> task = new FutureTask<>(() -> {
			try {
				return rendering.call();
			}
			finally {
				PLACES.release();
			}
		});
		try {
			if (!PLACES.tryAcquire(SECONDS, TimeUnit.SECONDS)) {
				throw broken("has been going on elsewhere for too long", null);
			}
			Thread thread = new Thread(task, "calm-chat-template");
			thread.setDaemon(true);
			thread.start();
			return task.get(SECONDS, TimeUnit.SECONDS);
		}
		catch (TimeoutException ex) {
			run.stop();
			throw broken("takes more than " + SECONDS + " seconds", ex);
		}
		catch (InterruptedException ex) {
			run.stop();
			Thread.currentThread().interrupt();
			throw broken("was interrupted", ex);
		}
		catch (ExecutionException ex) {
			throw reason(ex.getCause());
		}
	}

	private static RuntimeException reason(@Nullable Throwable failure) {
		for (Throwable each = failure; each != null; each = each.getCause()) {
			if (each instanceof RaisedException raised) {
				return new InvalidInputException("messages",
						"the chat template of the model refuses them: " + shortened(raised.getMessage()),
						"send a chat as it expects it");
			}
			if (each instanceof InvalidInputException invalid) {
				return invalid;
			}
			if (each instanceof TooManyStepsError) {
				return broken("takes too many steps", failure);
			}
			if (each instanceof StackOverflowError || each instanceof OutOfMemoryError) {
				return broken("is nested too deeply, or takes too much memory", failure);
			}
		}
		return broken("fails: " + shortened(String.valueOf((failure != null) ? failure.getMessage() : null)), failure);
	}

	private static InvalidInputException broken(String problem, @Nullable Throwable cause) {
		return new InvalidInputException("the chat template of the model", "cannot be used: it " + problem,
				"correct it in chat_template.jinja or tokenizer_config.json, or define a ChatPromptFormat bean", cause);
	}

	/** A message may quote what is private, or all of the template. */
	private static String shortened(@Nullable String message) {
		String line = String.valueOf(message).strip();
		return (line.length() > 200) ? line.substring(0, 200) + "…" : line;
	}

	/** One rendering. */
	private static final class Run {

		private final long maxText;

		private int left;

		private volatile boolean stopped;

		Run(int steps, long maxText) {
			this.left = steps;
			this.maxText = maxText;
		}

		void stop() {
			this.stopped = true;
		}

		String render(ChatTemplate template, List<Map<String, String>> messages) {
			Jinjava jinjava = new Jinjava(config(Disabled.ALL));
			jinjava.setResourceLocator((name, charset, interpreter) -> {
				throw new IllegalArgumentException("there are no other templates");
			});
			jinjava.registerFunction(
					new ELFunctionDefinition("", "raise_exception", TemplateRenderer.class, "raise", Object.class));
			Map<String, Object> values = new HashMap<>(Map.of("messages", messages, "add_generation_prompt", true,
					"bos_token", template.bosToken(), "eos_token", template.eosToken()));
			// Python's leaves out the last line break of a template, Jinjava that of its
			// output
			String source = template.source().replaceFirst("\\R\\z", "");
			RenderResult result = jinjava.renderForResult(source, values);
			for (TemplateError error : result.getErrors()) {
				if (error.getSeverity() == TemplateError.ErrorType.FATAL || error.getException() != null) {
					throw new IllegalStateException(error.getMessage() + " (line " + error.getLineno() + ")",
							error.getException());
				}
			}
			return result.getOutput();
		}

		private JinjavaConfig config(Map<Library, Set<String>> disabled) {
			return JinjavaConfig.newBuilder()
				.withDisabled(disabled)
				.withElResolver(new TemplateValues(this.maxText))
				.withProcessors(
						JinjavaProcessors.newBuilder().withNodePreProcessor((node, interpreter) -> step()).build())
				.withMaxOutputSize(this.maxText)
				.withMaxStringLength(this.maxText)
				.withMaxListSize(MOST_ENTRIES)
				.withMaxMapSize(MOST_ENTRIES)
				.withRangeLimit(LONGEST_RANGE)
				.withMaxRenderDepth(DEEPEST)
				.withNestedInterpretationEnabled(false)
				.withFailOnUnknownTokens(false)
				.withTrimBlocks(true)
				.withLstripBlocks(true)
				.withKeepTrailingNewline(true)
				.withLegacyOverrides(LIKE_PYTHON)
				.build();
		}

		private void step() {
			if (--this.left < 0 || this.stopped) {
				throw new TooManyStepsError();
			}
		}

	}

	/** What Jinjava has and these templates do not need. */
	private static final class Disabled {

		static final Map<Library, Set<String>> ALL = all(new Jinjava().getGlobalContext());

		private static Map<Library, Set<String>> all(Context context) {
			return Map.of(Library.TAG, others(context.getAllTags(), TAGS), Library.FILTER,
					others(context.getAllFilters(), FILTERS), Library.EXP_TEST, others(context.getAllExpTests(), TESTS),
					Library.FUNCTION, others(context.getAllFunctions(), FUNCTIONS));
		}

		private static Set<String> others(Iterable<? extends Importable> all, Set<String> used) {
			Set<String> others = new HashSet<>();
			all.forEach((each) -> {
				if (!used.contains(each.getName()) && !each.getName().startsWith("end")) {
					others.add(each.getName());
				}
			});
			return others;
		}

	}

}

package io.calm.docs;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A simple command of a shell script: its words without quotes, variables in front of it
 * left out.
 *
 * @param words the program and its arguments
 */
record Command(List<String> words) {

	/** A word, quoted or not; or what ends a command; or a comment. */
	private static final Pattern TOKEN = Pattern.compile(
			"(?<comment>(?<=^|\\s)#[^\\n]*)|(?<end>&&|\\|\\||[|;&\\n])|(?<word>(?:'[^']*'|\"[^\"]*\"|[^\\s'\"|;&])+)");

	/** The commands of a script. What it redirects belongs to the words. */
	static List<Command> of(String script) {
		List<Command> commands = new ArrayList<>();
		List<String> words = new ArrayList<>();
		Matcher token = TOKEN.matcher(script.replace("\\\n", " ") + "\n");
		while (token.find()) {
			String word = token.group("word");
			if (word != null) {
				words.add(word.replaceAll("['\"]", ""));
			}
			else if (token.group("end") != null && !words.isEmpty()) {
				add(commands, words);
				words = new ArrayList<>();
			}
		}
		return commands;
	}

	private static void add(List<Command> commands, List<String> words) {
		int variables = 0;
		while (variables < words.size() && words.get(variables).matches("\\w+=.*")) {
			variables++;
		}
		if (variables < words.size()) {
			commands.add(new Command(List.copyOf(words.subList(variables, words.size()))));
		}
	}

	String program() {
		return this.words.get(0);
	}

	/** The words behind one, without redirections. */
	List<String> after(int first) {
		List<String> arguments = new ArrayList<>();
		for (String word : this.words.subList(first, this.words.size())) {
			if (word.matches("\\d?>.*|<.*")) {
				break;
			}
			arguments.add(word);
		}
		return arguments;
	}

	@Override
	public String toString() {
		return String.join(" ", this.words);
	}

}

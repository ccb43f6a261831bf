package io.calm.input;

import java.util.regex.Pattern;

import org.jspecify.annotations.Nullable;

/**
 * Something the user gave cannot be used: a file, an option, a prompt. The message is
 * meant to be shown as it is, on one line: <em>where</em> (file, option), <em>what</em>
 * is wrong, and <em>what to do</em> about it. Applications print it without a stack trace
 * and end with exit code 2.
 * <p>
 * Where and what make one sentence: {@code temperature is 1.5; choose a number from 0 to
 * 1}. A problem with a subject of its own stands behind a colon:
 * {@code stop strings: one of them is empty; leave it out}.
 */
public final class InvalidInputException extends RuntimeException {

	private static final long serialVersionUID = 1L;

	/** How a problem begins whose subject is the file, option or value itself. */
	private static final Pattern PREDICATE = Pattern.compile("(?s)(is|are|was|has|holds|lacks|needs|does|cannot|could"
			+ "|exists|names|lists|claims|scales|calls|ends|lies|overlaps|sum) .*");

	private final String problem;

	private final String action;

	/**
	 * An error with its three parts.
	 * @param where the file, option or value that cannot be used
	 * @param problem what is wrong with it, without a full stop: the rest of a sentence
	 * that begins with the file, option or value, such as "is 1.5", or a sentence
	 * @param action what to do about it, without a full stop
	 */
	public InvalidInputException(String where, String problem, String action) {
		this(where, problem, action, null);
	}

	/**
	 * An error with its three parts and the exception that revealed it.
	 * @param where the file, option or value that cannot be used
	 * @param problem what is wrong with it, without a full stop: the rest of a sentence
	 * that begins with the file, option or value, such as "is 1.5", or a sentence
	 * @param action what to do about it, without a full stop
	 * @param cause the exception that revealed it, for a debugger's eyes
	 */
	public InvalidInputException(String where, String problem, String action, @Nullable Throwable cause) {
		super(oneLine(sentence(where, problem) + "; " + action), cause);
		this.problem = oneLine(sentence(where, problem));
		this.action = oneLine(action);
	}

	private InvalidInputException(String file, InvalidInputException cause) {
		super(oneLine(file + ": " + cause.getMessage()), cause);
		this.problem = oneLine(file + ": " + cause.problem);
		this.action = cause.action;
	}

	/**
	 * The first two parts of the message, for applications that show them apart.
	 * @return where, and what is wrong
	 */
	public String problem() {
		return this.problem;
	}

	/**
	 * The last part of the message.
	 * @return what to do about it
	 */
	public String action() {
		return this.action;
	}

	/**
	 * The same error with the file in which the value stands, for values that are checked
	 * by code that knows no files.
	 * @param file where the value stands
	 * @return an error that names the file first; this one if it does so already
	 */
	public InvalidInputException in(String file) {
		String message = String.valueOf(getMessage());
		return message.startsWith(file) ? this : new InvalidInputException(file, this);
	}

	private static String sentence(String where, String problem) {
		return where + (PREDICATE.matcher(problem).matches() ? " " : ": ") + problem;
	}

	/** Fit for a terminal: parts of it may come from a file that an attacker wrote. */
	private static String oneLine(String message) {
		return message.replaceAll("\\s*\\R\\s*", " ").replaceAll("[\\p{Cc}\\u202a-\\u202e\\u2066-\\u2069]", "?");
	}

}

package io.calm.input;

import org.jspecify.annotations.Nullable;

/**
 * Something the user gave cannot be used: a file, an option, a prompt. The message is
 * meant to be shown as it is, on one line: <em>where</em> (file, option), <em>what</em>
 * is wrong, and <em>what to do</em> about it. Applications print it without a stack trace
 * and end with exit code 2.
 */
public final class InvalidInputException extends RuntimeException {

	private static final long serialVersionUID = 1L;

	/**
	 * An error with its three parts.
	 * @param where the file, option or value that cannot be used
	 * @param problem what is wrong with it, without a full stop
	 * @param action what to do about it, without a full stop
	 */
	public InvalidInputException(String where, String problem, String action) {
		this(where, problem, action, null);
	}

	/**
	 * An error with its three parts and the exception that revealed it.
	 * @param where the file, option or value that cannot be used
	 * @param problem what is wrong with it, without a full stop
	 * @param action what to do about it, without a full stop
	 * @param cause the exception that revealed it, for a debugger's eyes
	 */
	public InvalidInputException(String where, String problem, String action, @Nullable Throwable cause) {
		super(oneLine(where + ": " + problem + "; " + action), cause);
	}

	private static String oneLine(String message) {
		return message.replaceAll("\\s*\\R\\s*", " ");
	}

}

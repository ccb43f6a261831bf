package io.calm.spring;

import io.calm.input.InvalidInputException;

import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/**
 * Says why the application could not start with its model: the exceptions of the library
 * know what is wrong and what to do about it.
 */
final class InvalidInputFailureAnalyzer extends AbstractFailureAnalyzer<InvalidInputException> {

	@Override
	protected FailureAnalysis analyze(Throwable rootFailure, InvalidInputException cause) {
		String action = cause.action();
		return new FailureAnalysis(cause.problem() + ".",
				Character.toUpperCase(action.charAt(0)) + action.substring(1) + ".", cause);
	}

}

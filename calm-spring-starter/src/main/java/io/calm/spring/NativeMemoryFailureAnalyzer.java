package io.calm.spring;

import org.jspecify.annotations.Nullable;

import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/**
 * Says which limits of JavaCPP are too small for the model. Without them there is none;
 * the JVM's own lack of memory is not explained.
 */
final class NativeMemoryFailureAnalyzer extends AbstractFailureAnalyzer<OutOfMemoryError> {

	@Override
	protected @Nullable FailureAnalysis analyze(Throwable rootFailure, OutOfMemoryError cause) {
		String message = String.valueOf(cause.getMessage());
		if (!message.contains("maxBytes") && !message.contains("maxPhysicalBytes")) {
			return null;
		}
		return new FailureAnalysis("JavaCPP's limits leave too little native memory to the model. " + message + ".",
				"Raise org.bytedeco.javacpp.maxbytes or org.bytedeco.javacpp.maxphysicalbytes,"
						+ " or remove them: without them there is no limit.",
				cause);
	}

}

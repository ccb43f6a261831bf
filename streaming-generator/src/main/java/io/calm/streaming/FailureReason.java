package io.calm.streaming;

/** Why there is no text, or no rest of it. */
public enum FailureReason {

	/** The record has no key, and so the request no name. */
	MISSING_KEY,
	/** The value is not what the schema of a request says. */
	INVALID_MESSAGE,
	/** The value has a version that the service does not know. */
	UNSUPPORTED_VERSION,
	/** A value is one that no service can use, such as a negative number of tokens. */
	INVALID_VALUE,
	/** A value is beyond what this service allows. */
	LIMIT_EXCEEDED,
	/** The service does not write to the topic or partition named in the headers. */
	REPLY_NOT_ALLOWED,
	/** The deadline had passed before the generation began. */
	DEADLINE_PASSED,
	/** Another request with the same key has not ended. */
	TOO_MANY_REQUESTS,
	/** The model failed while it wrote the text. */
	MODEL_FAILED,
	/** The chunks could not be written. */
	NOT_DELIVERED,
	/** Whoever took the request up did not survive it, too many times. */
	TOO_MANY_DELIVERIES,
	/** A reason that this version does not know. */
	UNKNOWN

}

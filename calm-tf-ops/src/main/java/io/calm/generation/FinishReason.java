package io.calm.generation;

/** Why a generation ended. */
public enum FinishReason {

	/** The model ended the document. */
	END,
	/** One of the request's stop strings was generated. */
	STOP,
	/** The asked number of tokens, or the context, is used up. */
	LENGTH,
	/** The request's deadline has passed. */
	DEADLINE

}

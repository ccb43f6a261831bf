package io.calm.generation;

/** Why a generation ended. */
public enum FinishReason {

	/** The model ended the document. */
	END,
	/** The asked number of tokens, or the context, is used up. */
	LENGTH

}

package io.calm.generation;

/**
 * A request was refused because too many are waiting: try again later.
 */
public final class EngineBusyException extends RuntimeException {

	private static final long serialVersionUID = 1L;

	EngineBusyException(int waiting) {
		super(waiting + " requests wait for a slot already; try again later, or open the engine with more slots"
				+ " or a longer queue");
	}

}

package io.calm.generation;

/** Makes what only a full engine throws. */
public final class BusyEngine {

	private BusyEngine() {
	}

	/** As an engine with a request in its queue says it. */
	public static EngineBusyException exception() {
		return new EngineBusyException(1);
	}

}

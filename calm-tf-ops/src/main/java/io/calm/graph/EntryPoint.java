package io.calm.graph;

import java.util.ArrayList;
import java.util.List;

import org.tensorflow.Session;
import org.tensorflow.op.Op;

/**
 * One native call of a program: what it brings back and what it changes. Declared while
 * the program is built, so that TensorFlow compiles it once.
 */
public final class EntryPoint {

	private final List<Fetch<?>> fetches = new ArrayList<>();

	private final List<String> effects = new ArrayList<>();

	EntryPoint() {
	}

	/**
	 * Adds values that a call brings back.
	 * @param fetches the values
	 * @return this
	 */
	public EntryPoint fetching(Fetch<?>... fetches) {
		this.fetches.addAll(List.of(fetches));
		return this;
	}

	/**
	 * Runs an operation for its effect.
	 * @param operations the operations
	 * @return this
	 */
	public EntryPoint changing(Iterable<? extends Op> operations) {
		operations.forEach((operation) -> this.effects.add(operation.op().name()));
		return this;
	}

	List<Fetch<?>> fetches() {
		return this.fetches;
	}

	void addTo(Session.Runner runner) {
		this.fetches.forEach((fetch) -> runner.fetch(fetch.node(), fetch.index()));
		this.effects.forEach(runner::addTarget);
	}

}

package io.calm.graph;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

import org.jspecify.annotations.Nullable;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.proto.RunOptions;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TType;

/**
 * One call of an entry point: feed, run, read, close. It owns the tensors that go in and
 * come out. Not for several threads.
 */
public final class Call implements AutoCloseable {

	private final EntryPoint entryPoint;

	private final Session.Runner runner;

	private final @Nullable Trace trace;

	private final List<AutoCloseable> owned = new ArrayList<>();

	private List<Tensor> results = List.of();

	/**
	 * @param trace where the call is recorded; null for nowhere
	 */
	Call(EntryPoint entryPoint, Session.Runner runner, @Nullable Trace trace) {
		this.entryPoint = entryPoint;
		this.runner = runner;
		this.trace = trace;
		entryPoint.addTo(runner);
	}

	/**
	 * Gives an input its values.
	 * @param <A> the Java array
	 * @param input where
	 * @param values row by row, as many as the input's shape has
	 * @return this
	 */
	public <A> Call feed(Input<? extends TType, A> input, A values) {
		Tensor tensor = input.tensor(values);
		this.owned.add(tensor);
		this.runner.feed(input.node(), tensor);
		return this;
	}

	/**
	 * Gives an input the values that another call has brought back, without a copy.
	 * @param input where
	 * @param values of the input's shape; stay the other call's
	 * @return this
	 */
	public Call feed(Input<TFloat32, float[]> input, Tensor values) {
		this.runner.feed(input.node(), values);
		return this;
	}

	/**
	 * Limits the time of the call.
	 * @param limit after which TensorFlow ends it with an error
	 * @return this
	 */
	public Call within(Duration limit) {
		this.runner.setOptions(RunOptions.newBuilder().setTimeoutInMs(limit.toMillis()).build());
		return this;
	}

	/**
	 * Runs the entry point with what was fed.
	 * @return this
	 */
	public Call run() {
		Result result = (this.trace != null) ? recorded(this.trace) : this.runner.run();
		this.owned.add(result);
		List<Tensor> tensors = new ArrayList<>();
		result.forEach((entry) -> tensors.add(entry.getValue()));
		this.results = tensors;
		return this;
	}

	private Result recorded(Trace trace) {
		Result result = this.runner.setOptions(Trace.OPTIONS).runAndFetchMetadata();
		result.getMetadata().ifPresent(trace::add);
		return result;
	}

	/**
	 * Reads what came back.
	 * @param <A> the Java array
	 * @param fetch one of the entry point's fetches
	 * @return a new array
	 */
	public <A> A get(Fetch<A> fetch) {
		return fetch.array(tensor(fetch));
	}

	/**
	 * What came back as TensorFlow has it, to be fed to another call.
	 * @param fetch one of the entry point's fetches
	 * @return valid until this call is closed
	 */
	public Tensor tensor(Fetch<?> fetch) {
		int position = this.entryPoint.fetches().indexOf(fetch);
		if (position < 0 || position >= this.results.size()) {
			throw new IllegalStateException("This call has not run or does not bring that value back");
		}
		return this.results.get(position);
	}

	/**
	 * Reads a single number.
	 * @param fetch one of the entry point's fetches
	 * @return its first value
	 */
	public float scalar(Fetch<float[]> fetch) {
		return get(fetch)[0];
	}

	@Override
	public void close() {
		for (AutoCloseable resource : this.owned) {
			try {
				resource.close();
			}
			catch (Exception ex) {
				throw new IllegalStateException(ex);
			}
		}
		this.owned.clear();
	}

}

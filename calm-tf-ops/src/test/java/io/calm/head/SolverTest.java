package io.calm.head;

import io.calm.graph.Call;
import io.calm.graph.Device;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Precision;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import org.junit.jupiter.api.Test;
import org.tensorflow.op.Ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

/**
 * The solvers on flows that can be followed by hand.
 */
class SolverTest {

	@Test
	void growthByItsOwnSize() {
		// dx/dt = x from 1: a step of h multiplies by 1 + h, or by 1 + h + h²/2
		assertThat(growth(Solver.EULER, 4)).isCloseTo((float) Math.pow(1.25, 4), within(1e-6f));
		assertThat(growth(Solver.MIDPOINT, 4)).isCloseTo((float) Math.pow(1.28125, 4), within(1e-6f));
		assertThat(growth(Solver.MIDPOINT, 100)).isCloseTo((float) Math.E, within(1e-4f));
	}

	private static float growth(Solver solver, int steps) {
		return solved(solver, steps, (tf) -> (x, evaluation) -> x);
	}

	@Test
	void growthByTime() {
		// dx/dt = t from 1: the midpoint method is exact, Euler's sees 0, 1/4, 1/2, 3/4
		assertThat(byTime(Solver.EULER)).isCloseTo(1 + (0 + 0.25f + 0.5f + 0.75f) / 4, within(1e-6f));
		assertThat(byTime(Solver.MIDPOINT)).isCloseTo(1.5f, within(1e-6f));
	}

	private static float byTime(Solver solver) {
		float[] times = solver.times(4);
		return solved(solver, 4,
				(tf) -> (x, evaluation) -> tf.constant(new float[][] { { times[evaluation] / 1000 } }));
	}

	@Test
	void timesAreRoundedDownThousandths() {
		assertThat(Solver.EULER.times(3)).containsExactly(0, 333, 666);
		assertThat(Solver.MIDPOINT.times(3)).containsExactly(0, 166, 333, 500, 666, 833);
	}

	private interface FlowIn {

		Solver.Flow flow(Ops tf);

	}

	private static float solved(Solver solver, int steps, FlowIn flow) {
		try (ProgramBuilder builder = new ProgramBuilder(new ProgramOptions(Device.CPU, Precision.FP32, false))) {
			Ops tf = builder.network().tf();
			Fetch<float[]> end = Fetch
				.floats(solver.solve(tf, tf.constant(new float[][] { { 1 } }), steps, flow.flow(tf)));
			EntryPoint entryPoint = builder.entryPoint().fetching(end);
			try (Program program = builder.build(); Call call = program.call(entryPoint).run()) {
				return call.scalar(end);
			}
		}
	}

}

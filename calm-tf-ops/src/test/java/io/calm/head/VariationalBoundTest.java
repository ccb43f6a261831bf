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
 * The terms of the variational bound, against values computed by hand.
 */
class VariationalBoundTest {

	private final NoiseSchedule schedule = NoiseSchedule.cosine(4);

	@Test
	void theTrueStepBackIsNoDistanceFromItself() {
		assertThat(nats(2, 0, 0, 0)).isCloseTo(0, within(1e-6f));
	}

	@Test
	void divergenceOfTheVariance() {
		double range = this.schedule.greatestLogVariance(2) - this.schedule.leastLogVariance(2);
		assertThat(nats(2, 0, 0, 1)).isCloseTo((float) (0.5 * (range - 1 + Math.exp(-range))), within(1e-6f));
	}

	@Test
	void divergenceOfTheMean() {
		double difference = 0.3 * this.schedule.noiseWeight(2);
		double variance = Math.exp(this.schedule.leastLogVariance(2));
		assertThat(nats(2, 0, 0.3f, 0)).isCloseTo((float) (0.5 * difference * difference / variance), within(1e-5f));
	}

	@Test
	void likelihoodOfTheData() {
		assertThat(nats(0, 0, 0, 0)).isCloseTo(4.73145f, within(1e-3f));
		// beyond the ends all that lies further out counts too
		assertThat(nats(0, 2, 0, 0)).isCloseTo(0.68437f, within(1e-3f));
		assertThat(nats(0, -2, 0, 0)).isCloseTo(0.68437f, within(1e-3f));
	}

	private float nats(int step, float latent, float error, float share) {
		try (ProgramBuilder builder = new ProgramBuilder(new ProgramOptions(Device.CPU, Precision.FP32, false))) {
			Ops tf = builder.network().tf();
			Fetch<float[]> nats = Fetch.floats(VariationalBound.of(tf, this.schedule,
					tf.constant(new int[][] { { step } }), tf.constant(new float[][][] { { { latent } } }),
					tf.constant(new float[][][] { { { error } } }), tf.constant(new float[][][] { { { share } } })));
			EntryPoint entryPoint = builder.entryPoint().fetching(nats);
			try (Program program = builder.build(); Call call = program.call(entryPoint).run()) {
				return call.scalar(nats);
			}
		}
	}

}

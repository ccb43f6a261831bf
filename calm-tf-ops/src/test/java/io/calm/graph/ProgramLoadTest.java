package io.calm.graph;

import java.nio.FloatBuffer;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.junit.jupiter.api.RepeatedTest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * Variables whose values cannot be read, as those of a broken file.
 */
class ProgramLoadTest {

	private static final int VALUES = 1000;

	/** Else its memory is free while another thread still writes to it. */
	@RepeatedTest(5)
	void whatHasBegunIsEndedBeforeTheFailureIsTold() {
		try (ProgramBuilder builder = new ProgramBuilder(ProgramOptions.DEFAULT.withDevice(Device.CPU))) {
			Variables declared = builder.network().variables();
			List<Variable> variables = List.of(declared.declare("broken", Initializer.ZEROS, VALUES),
					declared.declare("slow", Initializer.ZEROS, VALUES));
			AtomicInteger begun = new AtomicInteger();
			AtomicInteger ended = new AtomicInteger();
			CountDownLatch both = new CountDownLatch(2);
			try (Program program = builder.build()) {
				assertThatExceptionOfType(IllegalStateException.class)
					.isThrownBy(() -> program.load(variables, (variable, target) -> {
						begun.incrementAndGet();
						both.countDown();
						await(both);
						if (variable.name().equals("broken")) {
							ended.incrementAndGet();
							throw new IllegalStateException("broken");
						}
						pause();
						target.accept(FloatBuffer.allocate(VALUES));
						ended.incrementAndGet();
					}))
					.withMessage("broken");
				assertThat(ended).hasValue(begun.get());
			}
		}
	}

	private static void await(CountDownLatch latch) {
		try {
			// a machine of one core has one thread for both
			latch.await(1, TimeUnit.SECONDS);
		}
		catch (InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

	private static void pause() {
		try {
			Thread.sleep(100);
		}
		catch (InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

}

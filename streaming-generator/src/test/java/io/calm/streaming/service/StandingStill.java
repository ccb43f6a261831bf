package io.calm.streaming.service;

import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;

import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;

/**
 * Makes the consumer's thread stand still with a certain request, as a long pause of the
 * process would.
 */
final class StandingStill implements ObservationHandler<RequestObservationContext> {

	/** The request. */
	static final String ID = "stand-still";

	private final CountDownLatch begun = new CountDownLatch(1);

	private final CountDownLatch until = new CountDownLatch(1);

	@Override
	public boolean supportsContext(Observation.Context context) {
		return context instanceof RequestObservationContext;
	}

	@Override
	public void onStart(RequestObservationContext context) {
		if (context.getRecord().key() instanceof byte[] key && ID.equals(new String(key, StandardCharsets.UTF_8))) {
			this.begun.countDown();
			try {
				this.until.await();
			}
			catch (InterruptedException ex) {
				Thread.currentThread().interrupt();
			}
		}
	}

	boolean stands() {
		return this.begun.getCount() == 0;
	}

	void goOn() {
		this.until.countDown();
	}

}

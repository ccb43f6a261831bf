package io.calm.streaming.service;

import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import org.springframework.context.SmartLifecycle;
import org.springframework.kafka.listener.AbstractMessageListenerContainer;

/**
 * The service as a whole: begins when the model is usable and the topics are there, and
 * ends before the model does.
 */
final class StreamingService implements SmartLifecycle {

	private static final Logger LOG = LoggerFactory.getLogger(StreamingService.class);

	private static final long PAUSE_MILLIS = 500;

	private final StreamingProperties properties;

	private final Generations generations;

	private final RequestConsumer consumer;

	private final ControlListener control;

	private final Supplier<CompletableFuture<Void>> model;

	/** Makes the topics; false if the brokers do not answer. */
	private final Supplier<Boolean> topics;

	private volatile String said = "";

	private volatile CountDownLatch stopped = new CountDownLatch(0);

	StreamingService(StreamingProperties properties, Generations generations, RequestConsumer consumer,
			ControlListener control, Supplier<CompletableFuture<Void>> model, Supplier<Boolean> topics) {
		this.properties = properties;
		this.generations = generations;
		this.consumer = consumer;
		this.control = control;
		this.model = model;
		this.topics = topics;
	}

	List<Generation> inFlight() {
		return this.generations.inFlight();
	}

	Generations generations() {
		return this.generations;
	}

	Set<TopicPartition> assigned() {
		return this.consumer.assigned();
	}

	/** Whether it takes requests up, and cancellations. */
	boolean takesRequests() {
		return this.consumer.isRunning() && this.control.isRunning();
	}

	@Override
	public synchronized void start() {
		CountDownLatch until = new CountDownLatch(1);
		this.stopped = until;
		Thread starter = new Thread(() -> begin(until), "calm-streaming-start");
		starter.setDaemon(true);
		starter.start();
	}

	/**
	 * Begins, and begins again what has ended by itself. What is not there yet, a broker
	 * or its name, may come at any time; health says meanwhile what is missing.
	 */
	private void begin(CountDownLatch until) {
		try {
			this.model.get().join();
			boolean prepared = false;
			do {
				try {
					prepared = prepared || this.topics.get();
					if (prepared) {
						startWhatHasEnded(until);
					}
					said(prepared ? "" : "The brokers are not ready for the service yet");
				}
				catch (RuntimeException | Error ex) {
					said("Requests cannot be taken up yet; that is tried again: " + causes(ex));
				}
			}
			while (!until.await(PAUSE_MILLIS, TimeUnit.MILLISECONDS));
		}
		catch (CompletionException ex) {
			LOG.error("No requests are taken up, for there is no model", ex.getCause());
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
	}

	private synchronized void startWhatHasEnded(CountDownLatch until) {
		if (until.getCount() == 0) {
			return;
		}
		if (!this.control.isRunning()) {
			this.control.start();
		}
		if (!this.consumer.isRunning()) {
			this.consumer.start();
		}
	}

	/** Once, and not at every try. */
	private void said(String what) {
		if (!what.isEmpty() && !what.equals(this.said)) {
			LOG.warn(what);
		}
		this.said = what;
	}

	private static String causes(Throwable failure) {
		StringBuilder all = new StringBuilder(failure.toString());
		for (Throwable cause = failure.getCause(); cause != null; cause = cause.getCause()) {
			all.append(": ").append(cause.getMessage());
		}
		return all.toString();
	}

	@Override
	public synchronized void stop() {
		this.stopped.countDown();
		if (this.consumer.isRunning()) {
			this.consumer.stop(this.properties.shutdownGrace());
		}
		this.control.stop();
	}

	@Override
	public boolean isRunning() {
		return this.stopped.getCount() > 0;
	}

	/** As Spring Kafka's listeners: the last to begin, the first to end. */
	@Override
	public int getPhase() {
		return AbstractMessageListenerContainer.DEFAULT_PHASE;
	}

}

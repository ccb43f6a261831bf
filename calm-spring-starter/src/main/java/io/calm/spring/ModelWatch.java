package io.calm.spring;

import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Exchanges the model when its location leads to another version. A version that cannot
 * be opened is tried again after longer and longer pauses, while the old one stays.
 */
final class ModelWatch implements AutoCloseable {

	private static final Logger LOG = LoggerFactory.getLogger(ModelWatch.class);

	private static final int LONGEST_PAUSE = 64;

	private final ServedModel model;

	private final String location;

	private final Function<String, @Nullable String> versions;

	private final ScheduledExecutorService watcher;

	/** What the location has led to, at the last look. */
	private @Nullable String version;

	/** A version that could not be opened. */
	private @Nullable String refused;

	/** Looks until it is tried again, and how many those were. */
	private int left;

	private int pause;

	private boolean silent;

	ModelWatch(ServedModel model, String location, Function<String, @Nullable String> versions, Duration interval) {
		if (interval.toMillis() < 1) {
			throw new InvalidInputException("calm.model.watch", "is " + interval, "choose a time such as 30s");
		}
		this.model = model;
		this.location = location;
		this.versions = versions;
		this.watcher = Executors.newSingleThreadScheduledExecutor((task) -> {
			Thread thread = new Thread(task, "calm-watching");
			thread.setDaemon(true);
			return thread;
		});
		this.watcher.scheduleWithFixedDelay(this::look, interval.toMillis(), interval.toMillis(),
				TimeUnit.MILLISECONDS);
	}

	/** Never throws: nobody would look again. */
	private void look() {
		ModelStatus status = this.model.status();
		if (status.config() == null || status.state() == ModelStatus.State.CLOSED) {
			// whoever needs it opens what is there then
			return;
		}
		try {
			String now = this.versions.apply(this.location);
			this.silent = false;
			if (this.version == null) {
				this.version = status.version();
			}
			if (!Objects.equals(now, this.version)) {
				exchange(now);
			}
		}
		catch (RuntimeException ex) {
			if (!this.silent) {
				LOG.warn("Whether {} has moved is not known: {}", this.location, ex.getMessage());
			}
			this.silent = true;
		}
	}

	private void exchange(@Nullable String now) {
		if (!Objects.equals(now, this.refused)) {
			this.refused = null;
			this.left = 0;
			this.pause = 1;
		}
		if (this.left > 0) {
			this.left--;
			return;
		}
		LOG.info("{} leads to version {} now", this.location, now);
		try {
			this.model.reload();
			this.version = now;
			this.refused = null;
		}
		catch (RuntimeException | Error ex) {
			// the model has noted it for the application's health
			LOG.warn("Version {} cannot be used, version {} stays: {}", now, this.version, ex.getMessage());
			this.refused = now;
			this.left = this.pause;
			this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
		}
	}

	@Override
	public void close() {
		this.watcher.shutdownNow();
	}

}

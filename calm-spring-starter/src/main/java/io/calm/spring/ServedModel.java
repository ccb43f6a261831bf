package io.calm.spring;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;

import io.calm.generation.GenerationEngine;
import io.calm.generation.GenerationRequest;
import io.calm.generation.GenerationStream;
import io.calm.input.InvalidInputException;
import io.calm.model.CalmConfig;
import io.calm.text.ChatTemplate;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import org.springframework.boot.availability.LivenessState;

/**
 * The model of the application. It can be exchanged for another one without a gap: new
 * requests go to the new engine, texts that have begun end on the old one, which is then
 * closed. For that time both need memory.
 */
public final class ServedModel implements AutoCloseable {

	private static final Logger LOG = LoggerFactory.getLogger(ServedModel.class);

	private final @Nullable String location;

	/** Until a model is open. */
	private final String name;

	private final Supplier<Opened> first;

	private final Function<String, Opened> opening;

	private final Duration drainTimeout;

	private final Consumer<LivenessState> liveness;

	private final EmbeddingObservations observations;

	/** One thread: what was asked for last is opened last. */
	private final ExecutorService opener = Executors.newSingleThreadExecutor((task) -> daemon(task, "calm-opening"));

	private final ExecutorService drainer = Executors.newCachedThreadPool((task) -> daemon(task, "calm-draining"));

	private final AtomicInteger draining = new AtomicInteger();

	/**
	 * Requests are accepted under the read lock, so that after an exchange, under the
	 * write lock, none can reach the old engine any more.
	 */
	private final ReadWriteLock exchange = new ReentrantReadWriteLock();

	private volatile @Nullable Opened current;

	private volatile ModelStatus.@Nullable Failure lastError;

	private final AtomicInteger exchanges = new AtomicInteger();

	private final AtomicInteger refusals = new AtomicInteger();

	private volatile boolean closed;

	private @Nullable CompletableFuture<Void> usable;

	private ServedModel(@Nullable String location, String name, Supplier<Opened> first,
			Function<String, Opened> opening, Duration drainTimeout, Consumer<LivenessState> liveness,
			EmbeddingObservations observations) {
		this.location = location;
		this.name = name;
		this.first = first;
		this.opening = opening;
		this.drainTimeout = drainTimeout;
		this.liveness = liveness;
		this.observations = observations;
	}

	/** A model that is to be opened. */
	static ServedModel at(String location, String name, Function<String, Opened> opening, Duration drainTimeout,
			Consumer<LivenessState> liveness, EmbeddingObservations observations) {
		return new ServedModel(location, name, () -> opening.apply(location), opening, drainTimeout, liveness,
				observations);
	}

	/** The application's own engine, which it closes itself. */
	static ServedModel of(GenerationEngine engine, String name, Function<String, Opened> opening, Duration drainTimeout,
			Consumer<LivenessState> liveness, EmbeddingObservations observations) {
		return new ServedModel(null, name, () -> new Opened(name, null, engine, null, null), opening, drainTimeout,
				liveness, observations);
	}

	/**
	 * An open model.
	 *
	 * @param name of the model
	 * @param version of the model, where its location has versions
	 * @param engine that generates
	 * @param encoder of its texts, or {@code null} if the engine is the application's
	 * own, which closes it itself
	 * @param template of chats, or {@code null} if the model has none
	 */
	record Opened(String name, @Nullable String version, GenerationEngine engine, @Nullable ModelEncoder encoder,
			@Nullable ChatTemplate template) {

		boolean hasFailed() {
			return this.engine.failure().toCompletableFuture().isDone();
		}

		void close() {
			if (this.encoder != null) {
				this.encoder.close();
				this.engine.close();
			}
		}

	}

	/**
	 * A request that was accepted.
	 *
	 * @param model that got it
	 * @param stream the text to come
	 */
	record Accepted(ModelVersion model, GenerationStream stream) {
	}

	private static Thread daemon(Runnable task, String name) {
		Thread thread = new Thread(task, name);
		thread.setDaemon(true);
		return thread;
	}

	/**
	 * Begins to open the model, unless that has been done.
	 * @return completes when it is usable, or with the reason why it is not; then the
	 * next call tries again
	 */
	public synchronized CompletableFuture<Void> open() {
		CompletableFuture<Void> begun = this.usable;
		if (begun == null || (begun.isCompletedExceptionally() && this.current == null)) {
			begun = begin(this.first);
			this.usable = begun;
		}
		// a copy: whoever cancels his waiting must not cancel that of others
		return begun.copy();
	}

	/**
	 * Waits until the model is usable.
	 * @throws io.calm.input.InvalidInputException if there is no such model, or it cannot
	 * be used
	 */
	public void awaitUsable() {
		join(open());
	}

	/**
	 * Opens the model again from where it was first: an alias, or the directory itself,
	 * may have a new version.
	 * @throws IllegalStateException if the first engine was a bean of the application
	 * @see #reload(String)
	 */
	public void reload() {
		if (this.location == null) {
			throw new IllegalStateException(
					"The engine is a bean of the application; name the location of the model to use in its place");
		}
		reload(this.location);
	}

	/**
	 * Opens another model and, when it is usable, directs all new requests to it. Returns
	 * then, while texts that had begun before may still be on their way. If it fails, the
	 * model stays what it was.
	 * @param location of the model, in the form of {@code calm.model.location}
	 * @throws io.calm.input.InvalidInputException if there is no such model, or it cannot
	 * be used
	 */
	public void reload(String location) {
		CompletableFuture<Void> begun;
		synchronized (this) {
			begun = begin(() -> this.opening.apply(location));
			if (this.usable == null) {
				this.usable = begun;
			}
		}
		join(begun);
	}

	private CompletableFuture<Void> begin(Supplier<Opened> opening) {
		try {
			return CompletableFuture.runAsync(() -> exchange(opening), this.opener);
		}
		catch (RejectedExecutionException ex) {
			return CompletableFuture.failedFuture(closedException());
		}
	}

	private static void join(CompletableFuture<Void> begun) {
		try {
			begun.join();
		}
		catch (CompletionException ex) {
			if (ex.getCause() instanceof RuntimeException cause) {
				throw cause;
			}
			throw ex;
		}
	}

	/** On the opener's thread. */
	private void exchange(Supplier<Opened> opening) {
		if (this.closed) {
			throw closedException();
		}
		Opened next;
		try {
			next = opening.get();
		}
		catch (RuntimeException | Error ex) {
			failed(ex);
			if (this.current != null) {
				this.refusals.incrementAndGet();
			}
			throw ex;
		}
		Opened previous;
		this.exchange.writeLock().lock();
		try {
			if (this.closed) {
				next.close();
				throw closedException();
			}
			previous = this.current;
			this.current = next;
		}
		finally {
			this.exchange.writeLock().unlock();
		}
		LOG.info("Model {} is usable", new ModelVersion(next.name(), next.version()));
		next.engine().failure().thenAccept((failure) -> engineFailed(next, failure));
		if (previous != null) {
			this.exchanges.incrementAndGet();
			if (previous.hasFailed()) {
				this.liveness.accept(LivenessState.CORRECT);
			}
			this.draining.incrementAndGet();
			this.drainer.execute(() -> drain(previous));
		}
	}

	/** Another engine may have taken its place meanwhile. */
	private void engineFailed(Opened opened, Throwable failure) {
		failed(failure);
		if (this.current == opened && !this.closed) {
			this.liveness.accept(LivenessState.BROKEN);
		}
	}

	private void drain(Opened previous) {
		try {
			if (!previous.engine().awaitIdle(this.drainTimeout)) {
				LOG.warn("Texts of the previous model {} have not ended in {}; they end with an error", previous.name(),
						this.drainTimeout);
			}
		}
		catch (InterruptedException ex) {
			LOG.debug("The application ends before the last texts of the previous model");
		}
		finally {
			previous.close();
			this.draining.decrementAndGet();
		}
	}

	/**
	 * Accepts a request.
	 * @param request what to generate
	 * @return the text to come
	 * @throws IllegalStateException if the model is not usable yet: see {@link #open()}
	 * @throws io.calm.input.InvalidInputException if the prompt leaves no room in the
	 * context
	 * @throws io.calm.generation.EngineBusyException if too many requests are waiting
	 */
	public GenerationStream submit(GenerationRequest request) {
		return accept(request).stream();
	}

	Accepted accept(GenerationRequest request) {
		this.exchange.readLock().lock();
		try {
			Opened opened = opened();
			return new Accepted(new ModelVersion(opened.name(), opened.version()), opened.engine().submit(request));
		}
		finally {
			this.exchange.readLock().unlock();
		}
	}

	/**
	 * How long a text is.
	 * @param text the text
	 * @return its tokens
	 * @throws IllegalStateException if the model is not usable yet
	 */
	public int countTokens(String text) {
		return counted((engine) -> engine.countTokens(text));
	}

	int countTokensWithSpecial(String prompt) {
		return counted((engine) -> engine.countTokensWithSpecial(prompt));
	}

	private int counted(ToIntFunction<GenerationEngine> count) {
		// without the lock: a long text must not keep another model from being opened
		while (true) {
			Opened opened = opened();
			try {
				return count.applyAsInt(opened.engine());
			}
			catch (IllegalStateException ex) {
				if (this.current == opened) {
					throw ex;
				}
				// it was closed meanwhile
			}
		}
	}

	/**
	 * Encodes texts as vectors of the model, all of them by the same version of it.
	 * @param texts the texts, which may be empty
	 * @return a vector for each of them; of numbers that are 0 for an empty one
	 * @throws io.calm.input.InvalidInputException if the model has no latent vectors, as
	 * a baseline, or is an engine of the application's own
	 */
	public TextVectors embed(List<String> texts) {
		awaitUsable();
		return this.observations.observe(opened().name(), () -> encoded(texts));
	}

	private TextVectors encoded(List<String> texts) {
		while (true) {
			Opened opened = opened();
			try {
				return encoded(opened, texts);
			}
			catch (IllegalStateException ex) {
				if (this.current == opened) {
					throw ex;
				}
				// it was closed meanwhile
			}
		}
	}

	private static TextVectors encoded(Opened opened, List<String> texts) {
		ModelEncoder encoder = opened.encoder();
		int size = latentSize(opened);
		if (encoder == null) {
			throw new InvalidInputException("the model", "is a GenerationEngine bean, whose autoencoder is not known",
					"set calm.model.location in its place");
		}
		List<float[]> vectors = new ArrayList<>();
		int tokens = 0;
		for (String text : texts) {
			tokens += opened.engine().countTokens(text);
			vectors.add(text.isEmpty() ? new float[size] : encoder.encode(text).centre());
		}
		return new TextVectors(new ModelVersion(opened.name(), opened.version()), List.copyOf(vectors), tokens);
	}

	/**
	 * How many numbers the model's vectors have.
	 * @return l
	 * @throws io.calm.input.InvalidInputException if it has none, as a baseline
	 */
	public int latentSize() {
		awaitUsable();
		return latentSize(opened());
	}

	private static int latentSize(Opened opened) {
		if (opened.engine().config() instanceof CalmConfig config) {
			return config.head().latentSize();
		}
		throw new InvalidInputException("the model", "is a baseline, which has no latent vectors",
				"choose a CALM model");
	}

	/** What the model says of chats. */
	ChatTemplates.Form chatForm() {
		Opened opened = opened();
		return new ChatTemplates.Form(opened.template(), opened.engine().specialTokens());
	}

	private Opened opened() {
		Opened opened = this.current;
		if (this.closed) {
			throw closedException();
		}
		if (opened == null) {
			throw new IllegalStateException("The model is not open yet");
		}
		return opened;
	}

	private static IllegalStateException closedException() {
		return new IllegalStateException("The model is closed, because the application ends");
	}

	/** The engine that gets the next request. */
	@Nullable GenerationEngine engine() {
		Opened opened = this.current;
		return (opened != null) ? opened.engine() : null;
	}

	/** How often another model has taken the place of one. */
	int exchanges() {
		return this.exchanges.get();
	}

	/** How often a model stayed, for the one that was to take its place could not. */
	int refusals() {
		return this.refusals.get();
	}

	/** Remembers a failure for the health of the application. */
	void failed(Throwable failure) {
		this.lastError = new ModelStatus.Failure(Instant.now(), String.valueOf(failure.getMessage()));
	}

	/**
	 * What the model is doing. Does not open it.
	 * @return a moment's picture
	 */
	public ModelStatus status() {
		Opened opened = this.current;
		if (opened == null) {
			return new ModelStatus(state(), this.name, null, null, null, null, 0, this.lastError);
		}
		GenerationEngine engine = opened.engine();
		return new ModelStatus(state(), opened.name(), opened.version(), engine.config(), engine.device(),
				engine.status(), this.draining.get(), this.lastError);
	}

	private synchronized ModelStatus.State state() {
		if (this.closed) {
			return ModelStatus.State.CLOSED;
		}
		Opened opened = this.current;
		if (opened != null) {
			return opened.hasFailed() ? ModelStatus.State.FAILED : ModelStatus.State.USABLE;
		}
		if (this.usable == null) {
			return ModelStatus.State.WAITING;
		}
		return this.usable.isCompletedExceptionally() ? ModelStatus.State.FAILED : ModelStatus.State.OPENING;
	}

	/** Ends all texts and frees the native memory. */
	@Override
	public void close() {
		Opened last;
		this.exchange.writeLock().lock();
		try {
			last = this.closed ? null : this.current;
			this.closed = true;
		}
		finally {
			this.exchange.writeLock().unlock();
		}
		if (last != null) {
			last.close();
		}
		try {
			// what is being opened will be closed at once
			this.opener.shutdown();
			this.opener.awaitTermination(Long.MAX_VALUE, TimeUnit.NANOSECONDS);
			this.drainer.shutdownNow();
			this.drainer.awaitTermination(Long.MAX_VALUE, TimeUnit.NANOSECONDS);
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
	}

}

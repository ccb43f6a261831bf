package io.calm.generation;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Iterator;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Consumer;
import java.util.stream.IntStream;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Device;
import io.calm.input.InvalidInputException;
import io.calm.layer.CacheConfig;
import io.calm.model.BaselineConfig;
import io.calm.model.LanguageModelConfig;
import io.calm.model.ModelConfigs;
import io.calm.text.PromptTokens;
import io.calm.text.Tokenizer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A language model ready to generate: S texts side by side, which join and leave between
 * patches. One native call per patch takes all of them a step further. Its own thread
 * does the work; its methods may be called from any thread. It owns the native memory.
 *
 * <p>
 * A text depends on its request alone, not on its neighbours, as far as arithmetic does:
 * a product of matrices may round differently with another number of rows.
 */
public final class GenerationEngine implements AutoCloseable {

	private static final Logger LOG = LoggerFactory.getLogger(GenerationEngine.class);

	/** Nanoseconds: so long that sums do not overflow, and nobody sees its end. */
	private static final long FOREVER = Long.MAX_VALUE / 2;

	/** Steps that fail one after the other: it is not for their texts then. */
	private static final int MOST_FAILURES = 3;

	private final LanguageModelConfig config;

	private final EngineOptions options;

	private final int context;

	private final boolean leftPadded;

	private final Tokenizer tokenizer;

	private final ModelProgram program;

	/** The tokens that end a text. */
	private final BitSet ends = new BitSet();

	private final Thread thread;

	private final CompletableFuture<Throwable> failed = new CompletableFuture<>();

	/** Guards what follows. */
	private final Object lock = new Object();

	private final Queue<Waiting> queue = new ArrayDeque<>();

	private boolean changed;

	private boolean closed;

	/** What ended the engine's thread before it was closed. */
	private @Nullable Throwable failure;

	private int active;

	private long accepted;

	private long ended;

	private GenerationEngine(LanguageModelConfig config, EngineOptions options, int context, boolean leftPadded,
			Tokenizer tokenizer, ModelProgram program, int[] endIds) {
		this.config = config;
		this.options = options;
		this.context = context;
		this.leftPadded = leftPadded;
		this.tokenizer = tokenizer;
		this.program = program;
		IntStream.of(endIds).forEach(this.ends::set);
		this.thread = new Thread(this::work, "calm-engine");
		this.thread.setDaemon(true);
	}

	/** A request that has no slot yet. */
	private record Waiting(GenerationRequest request, Prompt prompt, GenerationStream stream, long deadline) {
	}

	/** A request in its slot. */
	private record Active(Slot slot, long deadline) {
	}

	/**
	 * Opens a model directory.
	 * @param directory of a language model, CALM or baseline, with its tokenizer
	 * @param options sets what differs from the defaults
	 * @return the engine; close it
	 * @throws InvalidInputException if the directory holds no such model
	 */
	public static GenerationEngine open(Path directory, Consumer<EngineOptions.Builder> options) {
		EngineOptions chosen = EngineOptions.of(options);
		ModelDirectory model = ModelDirectory.open(directory);
		CompletableFuture<Void> libraries = Device.prepare();
		try {
			return open(model, chosen);
		}
		finally {
			libraries.join();
		}
	}

	private static GenerationEngine open(ModelDirectory model, EngineOptions chosen) {
		try (TensorFile weights = model.weights()) {
			LanguageModelConfig config = ModelConfigs.languageModel(model, weights);
			Tokenizer tokenizer = Tokenizer.load(model.requiredTokenizer());
			try {
				int ids = idsToWrite(config, tokenizer);
				ModelConfigs.checkVocabulary(model, ids);
				int context = Math.min(chosen.context(), config.backbone().positions());
				CacheConfig cache = CacheConfig.of(chosen.slots(), context);
				boolean leftPadded = ModelConfigs.leftPadded(model);
				int[] endIds = ModelConfigs.endIds(model);
				// the last that may fail: from here on the engine owns the native memory
				ModelProgram program = ModelProgram.load(model, weights, config, ids, cache, chosen.program());
				LOG.info("{} slots of {} patches, {} KiB of cache each", chosen.slots(), context,
						cacheBytesPerSlot(config, cache) / 1024);
				return start(config, chosen, context, leftPadded, tokenizer, program, endIds);
			}
			catch (RuntimeException | Error ex) {
				tokenizer.close();
				throw ex;
			}
		}
	}

	static GenerationEngine start(LanguageModelConfig config, EngineOptions options, int context, boolean leftPadded,
			Tokenizer tokenizer, ModelProgram program, int... endIds) {
		GenerationEngine engine = new GenerationEngine(config, options, context, leftPadded, tokenizer, program,
				endIds);
		engine.thread.start();
		return engine;
	}

	/**
	 * A baseline writes a token at a time and needs no PAD; a tokenizer that has none of
	 * its own has got one behind its vocabulary.
	 */
	private static int idsToWrite(LanguageModelConfig config, Tokenizer tokenizer) {
		int ids = tokenizer.vocabularySize();
		boolean padIsLast = tokenizer.padId() == ids - 1 && config.vocabularySize() == ids - 1;
		return (config instanceof BaselineConfig && padIsLast) ? ids - 1 : ids;
	}

	private static long cacheBytesPerSlot(LanguageModelConfig config, CacheConfig cache) {
		return 2L * Float.BYTES * config.backbone().layers() * cache.context() * config.backbone().keyHeads()
				* config.backbone().headSize();
	}

	/**
	 * Continues a prompt.
	 * @param prompt the beginning of the text; may be empty
	 * @param options sets what differs from the defaults
	 * @return the text to come
	 * @throws InvalidInputException if a number is out of its range or the prompt leaves
	 * no room in the context
	 * @throws EngineBusyException if too many requests are waiting
	 */
	public GenerationStream generate(String prompt, Consumer<GenerationRequest.Builder> options) {
		return submit(GenerationRequest.of(prompt, options));
	}

	/**
	 * Accepts a request. It waits until it gets a slot, the first come first.
	 * @param request what to generate
	 * @return the text to come
	 * @throws InvalidInputException if the prompt leaves no room in the context, or the
	 * model cannot sample so
	 * @throws EngineBusyException if too many requests are waiting
	 * @throws EngineClosedException if the engine is closed or has failed
	 */
	public GenerationStream submit(GenerationRequest request) {
		this.program.check(request.sampling());
		checkLength(request.prompt());
		Prompt prompt = Prompt.of(request, this.tokenizer, this.config, this.leftPadded);
		int size = this.config.patchSize();
		if (prompt.patches().length / size >= this.context) {
			throw new InvalidInputException("prompt",
					"is " + (prompt.tokens().length + 1) + " tokens long, BOS included, where the context is "
							+ (long) this.context * size,
					"shorten the prompt to fewer than " + ((long) this.context - 1) * size
							+ " tokens or open the model with a longer context");
		}
		long deadline = System.nanoTime() + nanos(request.deadline());
		GenerationStream stream = new GenerationStream(prompt.tokens().length, this.options.buffer(), this::wake);
		synchronized (this.lock) {
			if (this.closed) {
				throw closedBy(this.failure);
			}
			if (this.queue.size() >= this.options.queue()) {
				throw new EngineBusyException(this.queue.size());
			}
			this.queue.add(new Waiting(request, prompt, stream, deadline));
			this.accepted++;
		}
		wake();
		return stream;
	}

	/** A text of a gigabyte is refused before it has cost the time to encode it. */
	private void checkLength(String prompt) {
		long tokens = (long) this.context * this.config.patchSize();
		if (prompt.length() / this.tokenizer.longestToken() > tokens) {
			throw new InvalidInputException("prompt",
					"is " + prompt.length() + " characters long, where the context is " + tokens + " tokens of at most "
							+ this.tokenizer.longestToken() + " characters",
					"shorten the prompt or open the model with a longer context");
		}
	}

	private static long nanos(@Nullable Duration time) {
		return (time == null || time.compareTo(Duration.ofNanos(FOREVER)) > 0) ? FOREVER : time.toNanos();
	}

	/**
	 * Tells when the engine has failed: something has gone wrong that is not a text's own
	 * fault, such as a lost GPU or too little memory. Its texts have ended then, and it
	 * takes no more requests; another engine has to be opened in its place.
	 * @return completes with what has gone wrong, and never if the engine is closed
	 * before
	 */
	public CompletionStage<Throwable> failure() {
		return this.failed.minimalCompletionStage();
	}

	/**
	 * What the engine is doing.
	 * @return a moment's picture
	 */
	public EngineStatus status() {
		synchronized (this.lock) {
			return new EngineStatus(this.options.slots(), this.active, this.queue.size(), this.accepted, this.ended);
		}
	}

	/**
	 * Waits until all accepted texts have ended, so that the engine can be closed without
	 * cutting one off. It goes on accepting requests.
	 * @param timeout the longest time to wait
	 * @return false if there were still texts then
	 * @throws InterruptedException if the thread is interrupted
	 */
	public boolean awaitIdle(Duration timeout) throws InterruptedException {
		long deadline = System.nanoTime() + nanos(timeout);
		synchronized (this.lock) {
			while (this.accepted != this.ended) {
				long left = deadline - System.nanoTime();
				if (left <= 0) {
					return false;
				}
				this.lock.wait(left / 1_000_000 + 1);
			}
			return true;
		}
	}

	/**
	 * How long a text is, in which nothing is a special token.
	 * @param text the text
	 * @return its tokens
	 */
	public int countTokens(String text) {
		return this.tokenizer.encode(text).length;
	}

	/**
	 * How long a prompt is that names special tokens.
	 * @param prompt of a request with
	 * {@link GenerationRequest.Builder#specialTokens(boolean)}
	 * @return its tokens
	 * @throws InvalidInputException if the tokenizer has no such special token
	 */
	public int countTokensWithSpecial(String prompt) {
		return PromptTokens.withSpecial(prompt, this.tokenizer).ids().length;
	}

	/**
	 * The special tokens that prompts can name.
	 * @return as they are spelled
	 */
	public Set<String> specialTokens() {
		return this.tokenizer.specialTokens().keySet();
	}

	/**
	 * The device that the model computes on.
	 * @return CPU or GPU
	 */
	public Device device() {
		return this.program.device();
	}

	/**
	 * The shape of the model.
	 * @return its configuration
	 */
	public LanguageModelConfig config() {
		return this.config;
	}

	private void wake() {
		synchronized (this.lock) {
			this.changed = true;
			this.lock.notifyAll();
		}
	}

	/** The engine's thread. */
	private void work() {
		List<Active> slots = new ArrayList<>();
		Throwable cause = null;
		try {
			int failures = 0;
			while (admit(slots)) {
				failures = step(slots, failures);
			}
		}
		catch (RuntimeException | Error ex) {
			cause = ex;
		}
		EngineClosedException end = closedBy(cause);
		for (Active each : slots) {
			each.slot().fail(end);
		}
		synchronized (this.lock) {
			this.closed = true;
			this.failure = cause;
			for (Waiting each : this.queue) {
				each.stream().fail(end);
			}
			this.ended += slots.size() + this.queue.size();
			this.queue.clear();
			this.active = 0;
			this.lock.notifyAll();
		}
		if (cause != null) {
			LOG.error("The generation engine has failed and takes no more requests", cause);
			this.failed.complete(cause);
		}
	}

	private static EngineClosedException closedBy(@Nullable Throwable failure) {
		return new EngineClosedException(
				(failure != null) ? "the generation engine has failed (" + failure + "); open the model again"
						: "the generation engine is closed",
				failure);
	}

	/**
	 * Takes those that can go on a step further.
	 * @param failures how many steps before it failed
	 * @return how many have failed with it
	 */
	private int step(List<Active> slots, int failures) {
		try {
			List<Slot> inPrompt = slots.stream().map(Active::slot).filter(Slot::inPrompt).toList();
			// one part of one prompt, so that the others do not wait for all of it
			if (!inPrompt.isEmpty()) {
				inPrompt.get(0).prefill(this.program);
			}
			List<Slot> ready = slots.stream()
				.map(Active::slot)
				.filter((slot) -> !slot.inPrompt() && slot.stream().hasRoom())
				.toList();
			if (!ready.isEmpty()) {
				this.program.advance(ready);
			}
			// who has read the end of a text finds its slot free
			synchronized (this.lock) {
				removeFinished(slots);
			}
			ready.forEach(Slot::deliver);
			return 0;
		}
		catch (RuntimeException ex) {
			if (failures + 1 == MOST_FAILURES) {
				throw ex;
			}
			LOG.error("A step failed; its {} texts end", slots.size(), ex);
			slots.forEach((each) -> each.slot()
				.fail(new IllegalStateException("the generation failed: " + ex.getMessage(), ex)));
			return failures + 1;
		}
	}

	/**
	 * Frees slots whose texts have ended and gives them to those who wait; waits while
	 * there is nothing to do.
	 * @return false when the engine is closed
	 */
	private boolean admit(List<Active> slots) {
		synchronized (this.lock) {
			while (!this.closed) {
				this.changed = false;
				release(slots);
				while (slots.size() < this.options.slots() && !this.queue.isEmpty()) {
					// stays in the queue until it has its slot: if that fails, it is told
					Waiting next = this.queue.element();
					next.stream().begin();
					slots.add(new Active(new Slot(freeNumber(slots), next.request(), next.prompt(), next.stream(),
							this.config, this.context, this.tokenizer, this.ends), next.deadline()));
					this.queue.remove();
				}
				this.active = slots.size();
				if (this.accepted == this.ended) {
					// for those in awaitIdle
					this.lock.notifyAll();
				}
				if (slots.stream().anyMatch((each) -> each.slot().inPrompt() || each.slot().stream().hasRoom())) {
					return true;
				}
				sleep(slots);
			}
			return false;
		}
	}

	/** Until something changes, or time is up for one of them. */
	private void sleep(List<Active> slots) {
		long now = System.nanoTime();
		long time = FOREVER;
		for (Active each : slots) {
			time = Math.min(time, Math.min(each.deadline() - now, patience(each, now)));
		}
		for (Waiting each : this.queue) {
			time = Math.min(time, each.deadline() - now);
		}
		try {
			if (!this.changed) {
				this.lock.wait(Math.max(1, time / 1_000_000 + 1));
			}
		}
		catch (InterruptedException ex) {
			this.closed = true;
		}
	}

	/** How long a text goes on waiting for its reader. */
	private long patience(Active active, long now) {
		return nanos(this.options.readerTimeout()) - active.slot().stream().unread(now);
	}

	private void release(List<Active> slots) {
		long now = System.nanoTime();
		for (Active each : slots) {
			if (each.slot().stream().cancelled()) {
				each.slot().abandon();
			}
			else if (each.deadline() - now <= 0) {
				each.slot().end(FinishReason.DEADLINE);
			}
			else if (patience(each, now) <= 0) {
				each.slot()
					.fail(new CancellationException("Nobody has read the text for " + this.options.readerTimeout()
							+ "; its generation is cancelled"));
			}
		}
		removeFinished(slots);
		for (Iterator<Waiting> all = this.queue.iterator(); all.hasNext();) {
			Waiting each = all.next();
			boolean late = each.deadline() - now <= 0;
			if (late) {
				each.stream().add(new Chunk(0, new int[0], "", FinishReason.DEADLINE));
			}
			if (late || each.stream().cancelled()) {
				all.remove();
				this.ended++;
			}
		}
	}

	private void removeFinished(List<Active> slots) {
		int before = slots.size();
		slots.removeIf((each) -> each.slot().finished());
		this.ended += before - slots.size();
		this.active = slots.size();
	}

	private static int freeNumber(List<Active> slots) {
		int number = 0;
		boolean taken = true;
		while (taken) {
			int candidate = number;
			taken = slots.stream().anyMatch((each) -> each.slot().number() == candidate);
			number += taken ? 1 : 0;
		}
		return number;
	}

	/** Ends all texts with an error and frees the native memory. */
	@Override
	public void close() {
		synchronized (this.lock) {
			this.closed = true;
			this.lock.notifyAll();
		}
		boolean interrupted = false;
		while (this.thread.isAlive()) {
			try {
				this.thread.join();
			}
			catch (InterruptedException ex) {
				interrupted = true;
			}
		}
		if (interrupted) {
			Thread.currentThread().interrupt();
		}
		this.program.close();
		this.tokenizer.close();
	}

}

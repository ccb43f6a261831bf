package io.calm.generation;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Queue;
import java.util.function.Consumer;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Device;
import io.calm.input.InvalidInputException;
import io.calm.model.CacheConfig;
import io.calm.model.LanguageModelConfig;
import io.calm.model.ModelConfigs;
import io.calm.text.Tokenizer;
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

	private final LanguageModelConfig config;

	private final EngineOptions options;

	private final int context;

	private final boolean leftPadded;

	private final Tokenizer tokenizer;

	private final ModelProgram program;

	private final Thread thread;

	/** Guards what follows. */
	private final Object lock = new Object();

	private final Queue<Waiting> queue = new ArrayDeque<>();

	private boolean changed;

	private boolean closed;

	private int active;

	private long accepted;

	private long ended;

	private GenerationEngine(LanguageModelConfig config, EngineOptions options, int context, boolean leftPadded,
			Tokenizer tokenizer, ModelProgram program) {
		this.config = config;
		this.options = options;
		this.context = context;
		this.leftPadded = leftPadded;
		this.tokenizer = tokenizer;
		this.program = program;
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
		try (TensorFile weights = model.weights()) {
			LanguageModelConfig config = ModelConfigs.languageModel(model, weights);
			Path tokenizerFile = model.tokenizer()
				.orElseThrow(() -> new InvalidInputException(directory.toString(), "has no tokenizer.json",
						"copy the one that the model was trained with into the directory"));
			Tokenizer tokenizer = Tokenizer.load(tokenizerFile);
			try {
				ModelConfigs.checkVocabulary(model, tokenizer.vocabularySize());
				int context = Math.min(chosen.context(), config.backbone().positions());
				CacheConfig cache = CacheConfig.of(chosen.slots(), context);
				ModelProgram program = ModelProgram.load(model, weights, config, cache, chosen.program());
				LOG.info("{} slots of {} patches, {} KiB of cache each", chosen.slots(), context,
						cacheBytesPerSlot(config, cache) / 1024);
				GenerationEngine engine = new GenerationEngine(config, chosen, context, ModelConfigs.leftPadded(model),
						tokenizer, program);
				engine.thread.start();
				return engine;
			}
			catch (RuntimeException ex) {
				tokenizer.close();
				throw ex;
			}
		}
	}

	private static long cacheBytesPerSlot(LanguageModelConfig config, CacheConfig cache) {
		return 2L * Float.BYTES * config.backbone().layers() * cache.context() * config.backbone().keyHeads()
				* config.backbone().headSize();
	}

	/**
	 * Generates a continuation.
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
	 */
	public GenerationStream submit(GenerationRequest request) {
		this.program.check(request.sampling());
		int[] text = this.tokenizer.encode(request.prompt());
		Prompt prompt = Prompt.of(text, this.config, this.leftPadded);
		int size = this.config.patchSize();
		if (prompt.patches().length / size >= this.context) {
			throw new InvalidInputException("prompt",
					"is " + (text.length + 1) + " tokens long, BOS included, where the context is "
							+ (long) this.context * size,
					"shorten the prompt to fewer than " + ((long) this.context - 1) * size
							+ " tokens or open the model with a longer context");
		}
		long deadline = (request.deadline() != null) ? System.nanoTime() + request.deadline().toNanos()
				: Long.MAX_VALUE;
		GenerationStream stream = new GenerationStream(text.length, this.options.buffer(), this::wake);
		synchronized (this.lock) {
			if (this.closed) {
				throw closedException();
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
		long deadline = System.nanoTime() + timeout.toNanos();
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
	 * How long a text is.
	 * @param text any
	 * @return its tokens
	 */
	public int countTokens(String text) {
		return this.tokenizer.encode(text).length;
	}

	/**
	 * Where it computes.
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
		try {
			while (admit(slots)) {
				List<Slot> inPrompt = slots.stream().map(Active::slot).filter(Slot::inPrompt).toList();
				// one part of one prompt, so that the others do not wait for all of it
				try {
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
				}
				catch (RuntimeException ex) {
					LOG.error("A step failed; its {} texts end", slots.size(), ex);
					slots.forEach((each) -> each.slot()
						.fail(new IllegalStateException("the generation failed: " + ex.getMessage(), ex)));
				}
			}
		}
		finally {
			slots.forEach((each) -> each.slot().fail(closedException()));
			synchronized (this.lock) {
				this.closed = true;
				this.queue.forEach((waiting) -> waiting.stream().fail(closedException()));
				this.ended += slots.size() + this.queue.size();
				this.queue.clear();
				this.active = 0;
				this.lock.notifyAll();
			}
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
					Waiting next = this.queue.remove();
					next.stream().begin();
					slots.add(new Active(new Slot(freeNumber(slots), next.request(), next.prompt(), next.stream(),
							this.config, this.context, this.tokenizer), next.deadline()));
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

	/** Until something changes, or the next deadline. */
	private void sleep(List<Active> slots) {
		long deadline = Math.min(slots.stream().mapToLong(Active::deadline).min().orElse(Long.MAX_VALUE),
				this.queue.stream().mapToLong(Waiting::deadline).min().orElse(Long.MAX_VALUE));
		try {
			if (!this.changed && deadline == Long.MAX_VALUE) {
				this.lock.wait();
			}
			else if (!this.changed) {
				this.lock.wait(Math.max(1, (deadline - System.nanoTime()) / 1_000_000 + 1));
			}
		}
		catch (InterruptedException ex) {
			this.closed = true;
		}
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

	private static IllegalStateException closedException() {
		return new IllegalStateException("the generation engine is closed");
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

package io.calm.fuzz;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import com.sun.management.ThreadMXBean;
import io.calm.cli.CommandLines;
import io.calm.input.InvalidInputException;
import io.calm.streaming.service.Records;
import org.jspecify.annotations.Nullable;

/**
 * The process in which the cases run, for a case may end it. A case is its seed, from
 * which even its kind follows. Each is announced, and then told of, on standard output:
 * {@code case SEED}, {@code accepted|refused|failed KIND MILLISECONDS WORDS}.
 */
final class Worker {

	/** A case takes a second at the most, on a machine that has time for it. */
	private static final long LONGEST_MILLISECONDS = 1000 * Long.getLong("calm.fuzz.seconds", 60);

	/**
	 * Bytes that the case's thread may ask for. To open the model with a diffusion head
	 * takes half of that; what a number in a file could make it ask for begins at
	 * gigabytes.
	 */
	private static final long MOST_ALLOCATED = 1L << 30;

	private static final long LONGEST_MESSAGE = 2000;

	/** Cases of other kinds are left out. */
	private static final String ONLY = System.getProperty("calm.fuzz.kind", "");

	private static final PrintStream TOLD = System.out;

	private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

	/** How many of a hundred cases are of a kind. */
	private final Map<String, Integer> shares = new LinkedHashMap<>();

	private final Map<String, Target> targets = new LinkedHashMap<>();

	private volatile long began = Long.MAX_VALUE;

	private volatile String kind = "";

	private Worker(Path inputs) throws IOException {
		Path tokenizer = inputs.resolve("tokenizer");
		add(25, "model directory", new ModelDirectories(inputs.resolve("models")));
		add(25, "tokenizer", new TokenizerFiles());
		add(15, "corpus", new Corpora(tokenizer));
		add(10, "spool", new Spools());
		add(15, "record", new Records(tokenizer));
		add(10, "command line", new CommandLines(inputs.resolve("models")));
	}

	private void add(int share, String kind, Target target) {
		this.shares.put(kind, share);
		this.targets.put(kind, target);
	}

	public static void main(String[] arguments) throws IOException {
		Worker worker = new Worker(Path.of(arguments[0]));
		Path directory = Path.of(arguments[1]);
		Thread watch = new Thread(worker::watch, "watch");
		watch.setDaemon(true);
		watch.start();
		// what is logged is of no interest here
		System.setOut(new PrintStream(OutputStream.nullOutputStream()));
		System.setErr(System.out);
		long end = Long.parseLong(arguments[3]);
		for (long seed = Long.parseLong(arguments[2]); seed < end; seed++) {
			worker.run(seed, directory);
		}
		TOLD.println("end");
		System.exit(0);
	}

	private void run(long seed, Path parent) throws IOException {
		Mutator mutator = new Mutator(seed);
		this.kind = kind(mutator.number(100));
		if (!ONLY.isEmpty() && !ONLY.equals(this.kind)) {
			return;
		}
		TOLD.println("case " + seed);
		Path directory = Files.createDirectory(parent.resolve(String.valueOf(seed)));
		this.began = System.nanoTime() / 1_000_000;
		long allocated = THREADS.getCurrentThreadAllocatedBytes();
		String outcome;
		String words = "";
		try {
			boolean accepted = Objects.requireNonNull(this.targets.get(this.kind)).run(mutator, directory);
			outcome = accepted ? "accepted" : "refused";
		}
		catch (InvalidInputException ex) {
			String message = String.valueOf(ex.getMessage());
			boolean fit = message.length() <= LONGEST_MESSAGE
					&& message.codePoints().noneMatch(Character::isISOControl);
			outcome = fit ? "refused" : "failed";
			words = fit ? "" : "message that is no line for a terminal: " + message;
		}
		catch (Throwable ex) {
			outcome = "failed";
			words = ex + "\t" + stack(ex.getCause() != null ? ex.getCause() : ex);
		}
		allocated = THREADS.getCurrentThreadAllocatedBytes() - allocated;
		long milliseconds = System.nanoTime() / 1_000_000 - this.began;
		this.began = Long.MAX_VALUE;
		if (allocated > MOST_ALLOCATED) {
			outcome = "failed";
			words += " asked for " + (allocated >> 20) + " MiB";
		}
		tell(outcome, milliseconds, words);
		delete(directory);
	}

	private String kind(int number) {
		int below = 0;
		for (Map.Entry<String, Integer> share : this.shares.entrySet()) {
			below += share.getValue();
			if (number < below) {
				return share.getKey();
			}
		}
		throw new IllegalStateException("the shares are no hundred");
	}

	private synchronized void tell(String outcome, long milliseconds, String words) {
		String line = words.replaceAll("\\p{Cntrl}+", " | ");
		TOLD.println(outcome + "\t" + this.kind + "\t" + milliseconds + "\t"
				+ line.substring(0, Math.min(line.length(), 4000)));
	}

	/** Ends the process with the case that does not end. */
	private void watch() {
		Thread main = Thread.getAllStackTraces()
			.keySet()
			.stream()
			.filter((each) -> each.getName().equals("main"))
			.findFirst()
			.orElseThrow();
		while (true) {
			try {
				Thread.sleep(1000);
			}
			catch (InterruptedException ex) {
				return;
			}
			if (System.nanoTime() / 1_000_000 - this.began > LONGEST_MILLISECONDS) {
				tell("failed", LONGEST_MILLISECONDS, "does not end: " + stack(main.getStackTrace()));
				Runtime.getRuntime().halt(3);
			}
		}
	}

	private static String stack(Throwable failure) {
		return failure + " " + stack(failure.getStackTrace());
	}

	private static String stack(StackTraceElement @Nullable [] elements) {
		return Arrays.stream(Objects.requireNonNull(elements))
			.limit(12)
			.map(String::valueOf)
			.collect(Collectors.joining(" < "));
	}

	private static void delete(Path directory) throws IOException {
		try (Stream<Path> files = Files.walk(directory)) {
			for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
				Files.delete(file);
			}
		}
	}

}

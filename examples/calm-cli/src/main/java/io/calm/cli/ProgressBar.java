package io.calm.cli;

import java.io.Console;
import java.io.PrintWriter;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Locale;

/**
 * Tells how far a long task is, on standard error. It is told of every step and decides
 * itself which of them are worth showing.
 */
final class ProgressBar implements AutoCloseable {

	/** How to show progress, and at least how long to wait between two times. */
	enum Style {

		/** Not at all. */
		NONE(Duration.ZERO),

		/** A line now and then, for log files. */
		LINES(Duration.ofSeconds(10)),

		/** One line that is drawn again and again, for a terminal. */
		BAR(Duration.ofMillis(100));

		private final Duration interval;

		Style(Duration interval) {
			this.interval = interval;
		}

		static Style ofThisProcess() {
			Console console = System.console();
			return (console != null && isTerminal(console)) ? BAR : LINES;
		}

		/** From JDK 22 on there is a console without a terminal, too. */
		private static boolean isTerminal(Console console) {
			try {
				return (boolean) Console.class.getMethod("isTerminal").invoke(console);
			}
			catch (ReflectiveOperationException ex) {
				return true;
			}
		}

	}

	private static final int WIDTH = 24;

	private final PrintWriter err;

	private final Style style;

	private final InstantSource clock;

	private final String label;

	private final long total;

	private final Instant started;

	private Instant shown;

	/** Done before this process began, of a task that is resumed; -1 until known. */
	private long before = -1;

	private String latest = "";

	private int drawn;

	/**
	 * Starts a task; the first step is shown after one interval.
	 * @param err where to draw
	 * @param style how to draw
	 * @param clock what time it is
	 * @param label what is being done
	 * @param total how many steps it takes, at least 1
	 */
	ProgressBar(PrintWriter err, Style style, InstantSource clock, String label, long total) {
		this.err = err;
		this.style = style;
		this.clock = clock;
		this.label = label;
		this.total = total;
		this.started = clock.instant();
		this.shown = this.started;
	}

	/**
	 * Tells of a step.
	 * @param done how many of the steps are done
	 * @param note what else is worth knowing, such as the loss; may be empty
	 */
	void update(long done, String note) {
		Instant now = this.clock.instant();
		this.before = (this.before < 0) ? done - 1 : this.before;
		this.latest = text(done, note, Duration.between(this.started, now));
		if (Duration.between(this.shown, now).compareTo(this.style.interval) >= 0) {
			this.shown = now;
			show();
		}
	}

	private String text(long done, String note, Duration elapsed) {
		long left = (done > this.before) ? elapsed.toSeconds() * (this.total - done) / (done - this.before) : 0;
		String time = (done < this.total) ? clockTime(left) + " left" : clockTime(elapsed.toSeconds());
		int filled = (int) (WIDTH * done / this.total);
		String bar = (this.style == Style.BAR) ? "[" + "#".repeat(filled) + ".".repeat(WIDTH - filled) + "] " : "";
		return String.format(Locale.ROOT, "%s %s%3d%% %d/%d %s%s", this.label, bar, 100 * done / this.total, done,
				this.total, time, note.isEmpty() ? "" : "  " + note);
	}

	private static String clockTime(long seconds) {
		return (seconds < 3600) ? String.format(Locale.ROOT, "%d:%02d", seconds / 60, seconds % 60)
				: String.format(Locale.ROOT, "%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
	}

	private void show() {
		if (this.style == Style.BAR) {
			// blanks wipe out what a longer line has left
			this.err.print("\r" + this.latest + " ".repeat(Math.max(0, this.drawn - this.latest.length())));
			this.drawn = this.latest.length();
			this.err.flush();
		}
		else if (this.style == Style.LINES) {
			this.err.println(this.latest);
		}
	}

	/**
	 * Says something that is to stay.
	 * @param line one line
	 */
	void tell(String line) {
		if (this.drawn > 0) {
			this.err.print("\r" + " ".repeat(this.drawn) + "\r");
			this.drawn = 0;
		}
		if (this.style != Style.NONE) {
			this.err.println(line);
		}
	}

	/** Shows the last step and leaves the line. */
	@Override
	public void close() {
		if (!this.latest.isEmpty()) {
			show();
		}
		if (this.drawn > 0) {
			this.err.println();
		}
	}

}

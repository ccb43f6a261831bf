package io.calm.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Instant;

import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;

class ProgressBarTest {

	private final StringWriter err = new StringWriter();

	private Instant now = Instant.EPOCH;

	/** 100 steps of a second each. */
	private String work(ProgressBar.Style style) {
		try (ProgressBar progress = new ProgressBar(new PrintWriter(this.err), style, () -> this.now, "training",
				100)) {
			for (int step = 1; step <= 100; step++) {
				this.now = this.now.plusSeconds(1);
				progress.update(step, (step < 50) ? "loss 12.5" : "loss 7");
			}
		}
		return this.err.toString();
	}

	@Test
	void linesNowAndThen() {
		assertThat(work(ProgressBar.Style.LINES).lines()).hasSizeBetween(10, 11)
			.startsWith("training  10% 10/100 1:30 left  loss 12.5")
			.endsWith("training 100% 100/100 1:40  loss 7");
	}

	@Test
	void barStaysOnOneLine() {
		String drawn = work(ProgressBar.Style.BAR);
		assertThat(drawn.indexOf('\n')).isEqualTo(drawn.length() - 1);
		String[] frames = drawn.stripTrailing().split("\r");
		assertThat(frames[25]).isEqualTo("training [######..................]  25% 25/100 1:15 left  loss 12.5");
		assertThat(frames[50]).startsWith("training [############............]  50% 50/100 0:50 left  loss 7");
		// the shorter line wipes out the longer one
		assertThat(frames[50]).hasSameSizeAs(frames[49]);
	}

	@Test
	void barIsNotDrawnAtEveryStep() {
		try (ProgressBar progress = new ProgressBar(new PrintWriter(this.err), ProgressBar.Style.BAR, () -> this.now,
				"training", 1000)) {
			for (int step = 1; step <= 1000; step++) {
				this.now = this.now.plusMillis(1);
				progress.update(step, "");
			}
		}
		assertThat(this.err.toString().chars().filter((c) -> c == '\r')).hasSizeBetween(10, 11);
		assertThat(this.err.toString()).contains("1000/1000");
	}

	@Test
	void nothing() {
		assertThat(work(ProgressBar.Style.NONE)).isEmpty();
	}

	@Test
	void nothingWasDone() {
		new ProgressBar(new PrintWriter(this.err), ProgressBar.Style.BAR, () -> this.now, "training", 100).close();
		assertThat(this.err.toString()).isEmpty();
	}

}

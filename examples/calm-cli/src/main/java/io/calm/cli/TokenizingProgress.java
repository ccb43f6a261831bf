package io.calm.cli;

import java.util.Locale;

import io.calm.text.TokenProgress;
import org.jspecify.annotations.Nullable;

/** Shows how far a text is made into tokens, unless that takes a moment only. */
final class TokenizingProgress implements TokenProgress, AutoCloseable {

	private static final long MOMENT = 1_000_000_000;

	private static final long MEGABYTE = 1_000_000;

	private final Subcommand command;

	private boolean any;

	private long start;

	private @Nullable ProgressBar bar;

	TokenizingProgress(Subcommand command) {
		this.command = command;
	}

	@Override
	public void onTokens(long bytes, long ofBytes, long tokens) {
		long now = System.nanoTime();
		if (!this.any) {
			this.any = true;
			this.start = now;
		}
		if (this.bar == null && now - this.start < MOMENT) {
			return;
		}
		if (this.bar == null) {
			this.bar = this.command.progress("tokens of MB", Math.max(1, ofBytes / MEGABYTE));
		}
		this.bar.update(bytes / MEGABYTE,
				String.format(Locale.ROOT, "%,d tokens  %,.0f tokens/s", tokens, tokens / ((now - this.start) / 1e9)));
	}

	/** Whether there was anything to do. */
	boolean any() {
		return this.any;
	}

	@Override
	public void close() {
		if (this.bar != null) {
			this.bar.close();
			this.bar = null;
		}
	}

}

package io.calm.mlflow;

/** Does something when the JVM ends, unless it has been done before. */
final class ExitHook {

	private final Thread thread;

	private boolean hooked;

	ExitHook(Runnable action) {
		this.thread = new Thread(action, "calm-mlflow-exit");
	}

	synchronized void add() {
		if (!this.hooked) {
			try {
				Runtime.getRuntime().addShutdownHook(this.thread);
				this.hooked = true;
			}
			catch (IllegalStateException ex) {
				// the JVM is ending already
			}
		}
	}

	synchronized void remove() {
		if (this.hooked && Thread.currentThread() != this.thread) {
			this.hooked = false;
			try {
				Runtime.getRuntime().removeShutdownHook(this.thread);
			}
			catch (IllegalStateException ex) {
				// the JVM is ending already, and this very thread may be why
			}
		}
	}

}

package io.calm.streaming.app;

import java.util.List;
import java.util.Random;

/**
 * Something that is done to a process.
 *
 * @param kind of the fault
 * @param pause milliseconds before it
 * @param length milliseconds until the process is well again, or begins to be
 * @param choice for whatever else is left to chance
 */
record Fault(Kind kind, long pause, long length, int choice) {

	/** What can be done to a process. */
	enum Kind {

		/** SIGKILL. */
		KILL,
		/** SIGSTOP, and SIGCONT in the end. */
		STOP,
		/** SIGTERM: it may say good-bye. */
		END,
		/** Its files cannot grow. */
		STARVE

	}

	/** The next one: as many draws each time, so that a seed gives a sequence. */
	static Fault draw(Random random, List<Kind> kinds, int shortestPause, int longestPause) {
		Kind kind = kinds.get(random.nextInt(kinds.size()));
		long pause = random.nextInt(shortestPause, longestPause);
		// mostly short ones, and some beyond every timeout of the group
		long length = (long) (20_000 * Math.pow(random.nextDouble(), 2));
		return new Fault(kind, pause, length, random.nextInt(Integer.MAX_VALUE));
	}

}

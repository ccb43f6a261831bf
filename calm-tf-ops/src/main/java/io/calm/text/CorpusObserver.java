package io.calm.text;

import java.nio.file.Path;

import io.calm.input.InvalidInputException;

/** Is told what a pass over a corpus meets. */
interface CorpusObserver {

	/** Ends the pass at the first fault. */
	CorpusObserver STRICT = (fault) -> {
		throw fault;
	};

	/**
	 * Something cannot be read. Unless this throws, the pass goes on behind it: bytes
	 * that are not UTF-8 become U+FFFD; a broken line, the rest of a broken file, and a
	 * file that cannot be opened are left out.
	 * @param fault says what and where
	 */
	void onFault(InvalidInputException fault);

	/**
	 * A line has been read, of a file that has lines.
	 * @param file the file
	 * @param number of the line, from 1
	 * @param bytes of the line, its end included
	 */
	default void onLine(Path file, long number, long bytes) {
	}

}

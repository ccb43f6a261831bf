package io.calm.fuzz;

import java.io.IOException;
import java.nio.file.Path;

/**
 * Something that reads what others have written. A broken input is to be refused with an
 * {@link io.calm.input.InvalidInputException} or to be of no consequence; anything else
 * that is thrown is a fault.
 */
public interface Target {

	/**
	 * Makes an input and has it read.
	 * @param mutator makes it broken
	 * @param directory an empty one, for the case's files
	 * @return false if the input was refused in another way than by an exception
	 */
	boolean run(Mutator mutator, Path directory) throws IOException;

}

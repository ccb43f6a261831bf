/**
 * Broken input by the thousand: whatever a file, a message or a command line holds, it is
 * read or refused in a line.
 */
@NullMarked
package io.calm.fuzz;

import org.jspecify.annotations.NullMarked;

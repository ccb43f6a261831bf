/**
 * The command {@code calm}. Results go to standard output, everything else to standard
 * error, so that {@code --json} can be piped.
 */
@NullMarked
package io.calm.cli;

import org.jspecify.annotations.NullMarked;

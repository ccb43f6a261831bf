/**
 * The application that {@code calm serve} runs: the HTTP service of the starter and a
 * page.
 */
@NullMarked
package io.calm.cli.serve;

import org.jspecify.annotations.NullMarked;

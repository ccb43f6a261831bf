/**
 * Runs, compiles or checks what stands in the README and in the pages of {@code docs/}.
 */
@NullMarked
package io.calm.docs;

import org.jspecify.annotations.NullMarked;

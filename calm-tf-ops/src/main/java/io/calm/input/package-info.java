/**
 * The one error a user sees for bad input. A leaf: every package may know it.
 */
@NullMarked
package io.calm.input;

import org.jspecify.annotations.NullMarked;

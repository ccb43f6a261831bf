/**
 * The entry point: {@link io.calm.Calm} trains and opens models.
 */
@NullMarked
package io.calm;

import org.jspecify.annotations.NullMarked;

/**
 * Texts as latent vectors, and back.
 */
@NullMarked
package io.calm.latent;

import org.jspecify.annotations.NullMarked;

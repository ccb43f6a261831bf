/**
 * Generative heads: from the hidden state of a patch to samples of the next latent vector
 * (section 4 of the paper).
 */
@NullMarked
package io.calm.head;

import org.jspecify.annotations.NullMarked;

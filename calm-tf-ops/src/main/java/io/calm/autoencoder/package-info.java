/**
 * The autoencoder: K tokens to one latent vector and back (section 3 of the paper).
 */
@NullMarked
package io.calm.autoencoder;

import org.jspecify.annotations.NullMarked;

/**
 * Layers of networks: embeddings, linear maps, norms, rotary positions, attention, the
 * gated feed-forward network, cross entropy.
 */
@NullMarked
package io.calm.layer;

import org.jspecify.annotations.NullMarked;

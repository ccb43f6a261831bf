/**
 * Training: the optimiser, its schedule, the trainers of autoencoder and language model,
 * listeners and resumable checkpoints.
 */
@NullMarked
package io.calm.training;

import org.jspecify.annotations.NullMarked;

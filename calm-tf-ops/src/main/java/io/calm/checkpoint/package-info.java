/**
 * The files of a model: safetensors, PyTorch checkpoints, and the model directory that
 * holds them. Every file is treated as untrusted.
 */
@NullMarked
package io.calm.checkpoint;

import org.jspecify.annotations.NullMarked;

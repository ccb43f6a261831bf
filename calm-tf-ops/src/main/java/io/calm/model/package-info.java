/**
 * The language models: the CALM network (patch embedding, Llama backbone, generative head
 * over a frozen autoencoder) and the baseline Transformer, their shapes and their files.
 */
@NullMarked
package io.calm.model;

import org.jspecify.annotations.NullMarked;

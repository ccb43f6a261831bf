/**
 * Text in, blocks of tokens out: tokenizers, streamed corpora, and the packing of
 * documents into blocks of patches. Knows nothing of models or TensorFlow.
 */
@NullMarked
package io.calm.text;

import org.jspecify.annotations.NullMarked;

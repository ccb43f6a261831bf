/**
 * Fine-tuning: a finished model is trained on with text of another domain.
 */
@NullMarked
package io.calm.examples.finetune;

import org.jspecify.annotations.NullMarked;

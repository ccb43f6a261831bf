/**
 * Models from a hub that speaks like Hugging Face's.
 */
@NullMarked
package io.calm.hub;

import org.jspecify.annotations.NullMarked;

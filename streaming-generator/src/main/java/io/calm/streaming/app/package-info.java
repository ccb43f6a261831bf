/**
 * The runnable service.
 */
@NullMarked
package io.calm.streaming.app;

import org.jspecify.annotations.NullMarked;

/**
 * The HTTP service: models, completions and chat completions in the dialect that the
 * clients of OpenAI and of many others speak.
 */
@NullMarked
package io.calm.spring.http;

import org.jspecify.annotations.NullMarked;

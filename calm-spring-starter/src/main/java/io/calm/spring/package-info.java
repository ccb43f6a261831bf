/**
 * A model as a bean: with this module on the class path and {@code calm.model.location}
 * set, a Spring Boot application has a {@link io.calm.spring.TextGenerator}.
 */
@NullMarked
package io.calm.spring;

import org.jspecify.annotations.NullMarked;

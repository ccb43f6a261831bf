/**
 * The service: takes requests up from Kafka, generates, and writes the chunks back. With
 * this module on the class path and a model, a Spring Boot application is one.
 */
@NullMarked
package io.calm.streaming.service;

import org.jspecify.annotations.NullMarked;

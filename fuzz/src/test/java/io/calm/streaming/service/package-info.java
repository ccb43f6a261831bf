@NullMarked
package io.calm.streaming.service;

import org.jspecify.annotations.NullMarked;

package io.calm.streaming.service;

import java.util.List;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import org.slf4j.LoggerFactory;

/**
 * What a class logs from now on.
 *
 * @param events so far
 */
record Logged(ListAppender<ILoggingEvent> events) {

	static Logged of(Class<?> type) {
		ListAppender<ILoggingEvent> events = new ListAppender<>();
		events.start();
		((Logger) LoggerFactory.getLogger(type)).addAppender(events);
		return new Logged(events);
	}

	boolean contains(String text) {
		return List.copyOf(this.events.list).stream().anyMatch((event) -> event.getFormattedMessage().contains(text));
	}

}

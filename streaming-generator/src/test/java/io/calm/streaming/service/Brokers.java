package io.calm.streaming.service;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

import io.calm.streaming.TextChunk;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.TimeoutException;
import org.jspecify.annotations.Nullable;

import org.springframework.boot.kafka.autoconfigure.DefaultKafkaProducerFactoryCustomizer;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.ProducerPostProcessor;

/**
 * Stands between the service's producers and the real broker, for what no broker does on
 * demand: it loses a record of the middle, or the answer to a commit.
 */
final class Brokers implements DefaultKafkaProducerFactoryCustomizer {

	/** Commits whose answer is still to be lost. */
	final AtomicInteger lostCommits = new AtomicInteger();

	/** Questions for a topic's partitions that are still to be left without an answer. */
	final AtomicInteger lostQuestions = new AtomicInteger();

	/** The request whose chunks with a text of this are kept back, and not sent. */
	volatile String kept = "";

	/** Of what was kept back. */
	private final List<Callback> waiting = new CopyOnWriteArrayList<>();

	/** The chunks that have been kept back expire. */
	int expire() {
		List<Callback> expired = List.copyOf(this.waiting);
		this.waiting.removeAll(expired);
		expired.forEach((callback) -> callback.onCompletion(null, new TimeoutException("expired")));
		return expired.size();
	}

	@Override
	@SuppressWarnings({ "unchecked", "rawtypes" })
	public void customize(DefaultKafkaProducerFactory<?, ?> factory) {
		ProducerPostProcessor between = (producer) -> between((Producer) producer);
		factory.addPostProcessor(between);
	}

	@SuppressWarnings("unchecked")
	private Producer<byte[], byte[]> between(Producer<byte[], byte[]> real) {
		return (Producer<byte[], byte[]>) Proxy.newProxyInstance(Producer.class.getClassLoader(),
				new Class<?>[] { Producer.class }, (proxy, method, arguments) -> called(real, method, arguments));
	}

	private @Nullable Object called(Producer<byte[], byte[]> real, Method method, Object @Nullable [] arguments)
			throws Throwable {
		if (method.getName().equals("partitionsFor") && isOneOf(this.lostQuestions)) {
			throw new TimeoutException("no answer");
		}
		if (method.getName().equals("send") && arguments != null && arguments.length == 2 && isKept(arguments[0])) {
			this.waiting.add((Callback) arguments[1]);
			Future<?> never = new CompletableFuture<>();
			return never;
		}
		Object result = really(real, method, arguments);
		if (method.getName().equals("commitTransaction") && isOneOf(this.lostCommits)) {
			throw new TimeoutException("the answer was lost");
		}
		return result;
	}

	private static @Nullable Object really(Producer<byte[], byte[]> real, Method method, Object @Nullable [] arguments)
			throws Throwable {
		try {
			return method.invoke(real, arguments);
		}
		catch (InvocationTargetException ex) {
			throw Objects.requireNonNull(ex.getCause());
		}
	}

	private static boolean isOneOf(AtomicInteger count) {
		return count.getAndUpdate((left) -> Math.max(0, left - 1)) > 0;
	}

	private boolean isKept(Object sent) {
		if (this.kept.isEmpty() || !(sent instanceof ProducerRecord<?, ?> record)
				|| !record.topic().endsWith(".chunks")) {
			return false;
		}
		TextChunk chunk = ServiceUnderTest.FORMAT.readChunk((byte[]) record.value());
		return new String((byte[]) record.key(), StandardCharsets.UTF_8).equals(this.kept) && chunk.end() == null;
	}

}

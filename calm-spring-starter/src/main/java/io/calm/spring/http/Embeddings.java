package io.calm.spring.http;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Base64;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

import io.calm.model.CalmConfig;
import io.calm.spring.CalmProperties;
import io.calm.spring.ServedModel;
import io.calm.spring.TextVectors;
import io.micrometer.observation.Observation;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Has texts encoded, on a thread of their own: those that deliver texts wait for none of
 * them. As many requests may wait as there may wait for texts.
 */
final class Embeddings implements AutoCloseable {

	/** Tokens of a text. */
	private static final int LONGEST = 8192;

	/** Then the thread ends. */
	private static final int IDLE_SECONDS = 60;

	private final @Nullable ServedModel model;

	private final ThreadPoolExecutor thread;

	/**
	 * The vectors of an application.
	 * @param model whose vectors they are, or {@code null} if there is none
	 * @param properties how many requests may wait
	 */
	Embeddings(@Nullable ServedModel model, CalmProperties properties) {
		this.model = model;
		this.thread = new ThreadPoolExecutor(1, 1, IDLE_SECONDS, TimeUnit.SECONDS,
				new ArrayBlockingQueue<>(properties.engine().queue()), (task) -> {
					Thread thread = new Thread(task, "calm-embeddings");
					thread.setDaemon(true);
					return thread;
				});
		this.thread.allowCoreThreadTimeOut(true);
	}

	/** Ends with an exception if the texts cannot be encoded. */
	Mono<TextVectors> of(EmbeddingOrder order) {
		ServedModel model = this.model;
		if (model == null) {
			throw impossible();
		}
		return Mono.fromFuture(model.open())
			.onErrorMap((failure) -> RefusedException.unavailable())
			// not with a scheduler: it interrupts its thread when the answer is complete,
			// and the thread may be writing it
			.then(Mono.deferContextual((context) -> {
				Observation request = context.getOrDefault(ObservationThreadLocalAccessor.KEY, null);
				return Mono
					.fromFuture(() -> CompletableFuture.supplyAsync(() -> encoded(model, order, request), this.thread));
			}))
			.onErrorMap(RejectedExecutionException.class, (failure) -> RefusedException.queueFull());
	}

	/** As a part of the request, if that is observed. */
	private TextVectors encoded(ServedModel model, EmbeddingOrder order, @Nullable Observation request) {
		if (request == null) {
			return encoded(model, order);
		}
		try (Observation.Scope part = request.openScope()) {
			return encoded(model, order);
		}
	}

	private TextVectors encoded(ServedModel model, EmbeddingOrder order) {
		if (!(model.status().config() instanceof CalmConfig)) {
			throw impossible();
		}
		for (int i = 0; i < order.texts().size(); i++) {
			int tokens = model.countTokens(order.texts().get(i));
			if (tokens > LONGEST) {
				throw RefusedException.invalid(400, "context_length_exceeded", "input",
						"input[" + i + "] is " + tokens + " tokens long; send at most " + LONGEST);
			}
		}
		return model.embed(order.texts());
	}

	private static RefusedException impossible() {
		return RefusedException.invalid(400, "unsupported_model", "model",
				"the model has no latent vectors; a CALM model has them, a baseline or a generator of one's own has not");
	}

	/** What the client gets. */
	static ObjectNode answer(EmbeddingOrder order, TextVectors encoded) {
		ObjectNode answer = JsonNodeFactory.instance.objectNode().put("object", "list");
		ArrayNode data = answer.putArray("data");
		for (float[] vector : encoded.vectors()) {
			ObjectNode each = data.addObject().put("object", "embedding").put("index", data.size() - 1);
			if (order.base64()) {
				each.put("embedding", base64(vector));
			}
			else {
				ArrayNode numbers = each.putArray("embedding");
				for (float number : vector) {
					numbers.add(number);
				}
			}
		}
		answer.put("model", encoded.model().name());
		answer.putObject("usage").put("prompt_tokens", encoded.tokens()).put("total_tokens", encoded.tokens());
		return answer;
	}

	/** Little-endian, as clients expect it. */
	private static String base64(float[] vector) {
		ByteBuffer bytes = ByteBuffer.allocate(vector.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
		bytes.asFloatBuffer().put(vector);
		return Base64.getEncoder().encodeToString(bytes.array());
	}

	@Override
	public void close() {
		this.thread.shutdownNow();
	}

}

package io.calm.spring.http;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Supplier;

import io.calm.input.InvalidInputException;
import io.calm.spring.ModelVersion;
import io.calm.spring.TextGenerator;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpMethod;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.http.server.reactive.ServerHttpRequest;
import org.springframework.http.server.reactive.ServerHttpResponse;
import org.springframework.web.util.DisconnectedClientHelper;
import org.springframework.web.util.UriUtils;

/**
 * Answers requests. No thread waits for a client: a body is taken as it comes, and a
 * piece of text is asked for when the client has taken the pieces before it, but for some
 * dozens that Netty asks for ahead. The status of an answer is decided by what comes
 * first, the first piece or an error.
 */
final class HttpService {

	private static final Logger LOG = LoggerFactory.getLogger(HttpService.class);

	/** Of the model that wrote the text, where its location has versions. */
	private static final String VERSION = "Calm-Model-Version";

	/** The models are as old as the process, for all that clients know. */
	private final long created = Instant.now().getEpochSecond();

	/**
	 * How often an answer that is sent as a whole shows a sign of life before: only by
	 * writing is it known that a client has gone, whose text then ends.
	 */
	private static final Duration PULSE = Duration.ofSeconds(1);

	private final AccessRules access;

	private final Texts texts;

	private final ChatPrompts chats;

	private final Embeddings embeddings;

	private final ObservationRegistry observations;

	private final long maxBody;

	private final Duration bodyTimeout;

	private final int maxChoices;

	HttpService(AccessRules access, Texts texts, ChatPrompts chats, Embeddings embeddings,
			ObservationRegistry observations, CalmHttpProperties properties) {
		this.access = access;
		this.texts = texts;
		this.chats = chats;
		this.embeddings = embeddings;
		this.observations = observations;
		this.maxBody = properties.maxBodySize().toBytes();
		this.bodyTimeout = properties.bodyTimeout();
		this.maxChoices = properties.maxChoices();
	}

	/** Answers a request, whose path is that within the service. */
	Mono<Void> handle(ServerHttpRequest request, ServerHttpResponse response) {
		// in a servlet application, this thread has that of the request, and those that
		// write the answer have not
		Observation observation = this.observations.getCurrentObservation();
		Mono<Void> answered = Mono.defer(() -> {
			this.access.check(request);
			return answer(request, response);
		}).onErrorResume((failure) -> {
			if (DisconnectedClientHelper.isClientDisconnectedException(failure)) {
				// nobody listens any more
				return Mono.empty();
			}
			// what has begun can only be broken off
			return response.isCommitted() ? Mono.error(failure) : refuse(response, failure);
		});
		return (observation != null)
				? answered.contextWrite((context) -> context.put(ObservationThreadLocalAccessor.KEY, observation))
				: answered;
	}

	private Mono<Void> answer(ServerHttpRequest request, ServerHttpResponse response) {
		String path = request.getPath().pathWithinApplication().value();
		return switch (path) {
			case "/models" -> {
				allow(request, response, HttpMethod.GET);
				yield write(response, models());
			}
			case "/completions" -> {
				allow(request, response, HttpMethod.POST);
				yield fields(request).flatMap((fields) -> made(() -> TextOrder.completion(fields, this.maxChoices)))
					.flatMap((order) -> text(response, false, order));
			}
			case "/chat/completions" -> {
				allow(request, response, HttpMethod.POST);
				yield fields(request).flatMap(this::chat).flatMap((order) -> text(response, true, order));
			}
			case "/embeddings" -> {
				allow(request, response, HttpMethod.POST);
				yield fields(request).flatMap((fields) -> vectors(response, EmbeddingOrder.of(fields)));
			}
			default -> {
				if (!path.startsWith("/models/")) {
					throw RefusedException.invalid(404, "unknown_url", null,
							"there is nothing at this path; there are models, completions, chat/completions and embeddings");
				}
				allow(request, response, HttpMethod.GET);
				String name = UriUtils.decode(path.substring("/models/".length()), StandardCharsets.UTF_8);
				checkModel(name);
				yield write(response, model());
			}
		};
	}

	private static void allow(ServerHttpRequest request, ServerHttpResponse response, HttpMethod method) {
		if (!request.getMethod().equals(method)) {
			response.getHeaders().set(HttpHeaders.ALLOW, method.name());
			throw RefusedException.invalid(405, "method_not_allowed", null, "only " + method + " is known here");
		}
	}

	private ObjectNode models() {
		ObjectNode list = JsonNodeFactory.instance.objectNode().put("object", "list");
		list.putArray("data").add(model());
		return list;
	}

	private ObjectNode model() {
		return JsonNodeFactory.instance.objectNode()
			.put("id", this.texts.model())
			.put("object", "model")
			.put("created", this.created)
			.put("owned_by", "calm");
	}

	private String checkModel(String name) {
		String model = this.texts.model();
		if (!name.equals(model)) {
			throw RefusedException.invalid(404, "model_not_found", "model",
					"there is no such model here; the model is " + model);
		}
		return model;
	}

	/**
	 * A page of another site may send a form or plain text without being asked whether it
	 * may, but no JSON.
	 */
	private Mono<Fields> fields(ServerHttpRequest request) {
		MediaType type = request.getHeaders().getContentType();
		if (type == null || !MediaType.APPLICATION_JSON.isCompatibleWith(type)) {
			throw RefusedException.invalid(415, "unsupported_media_type", null,
					"the request is not JSON; send it with 'Content-Type: application/json'");
		}
		long length = request.getHeaders().getContentLength();
		if (length < 0) {
			throw RefusedException.invalid(411, "length_required", null,
					"the request does not say how long it is; send it with its Content-Length");
		}
		if (length > this.maxBody) {
			throw RefusedException.invalid(413, "request_too_large", null, "the request is " + length
					+ " bytes long; send at most " + this.maxBody + " (calm.http.max-body-size)");
		}
		return DataBufferUtils.join(request.getBody())
			.timeout(this.bodyTimeout)
			.onErrorMap(HttpService::hasNotCome,
					(failure) -> RefusedException.invalid(408, "request_timeout", null,
							"the body of the request did not come in " + this.bodyTimeout.toSeconds()
									+ " s; send all of it at once (calm.http.body-timeout)"))
			.map(HttpService::bytes)
			.defaultIfEmpty(new byte[0])
			.map(Fields::read);
	}

	/** A server may have a limit of its own, which it tells as a failure to read. */
	private static boolean hasNotCome(Throwable failure) {
		return failure instanceof TimeoutException
				|| (failure instanceof IOException && !DisconnectedClientHelper.isClientDisconnectedException(failure));
	}

	private static byte[] bytes(DataBuffer buffer) {
		byte[] bytes = new byte[buffer.readableByteCount()];
		buffer.read(bytes);
		DataBufferUtils.release(buffer);
		return bytes;
	}

	/** The form of a chat is the model's, and making it may take a while. */
	private Mono<TextOrder> chat(Fields fields) {
		return this.texts.usable()
			.then(made(() -> TextOrder.chat(fields, this.chats, this.maxChoices)))
			.onErrorMap(InvalidInputException.class, (failure) -> RefusedException.of(failure, true));
	}

	/**
	 * On a thread that may block, which also encodes the prompts: those of the server
	 * serve other clients meanwhile.
	 */
	private static Mono<TextOrder> made(Supplier<TextOrder> order) {
		// not with subscribeOn: that interrupts the thread when the answer is complete,
		// and the thread may be writing it
		return Mono.fromFuture(() -> CompletableFuture.supplyAsync(order, Schedulers.boundedElastic()::schedule));
	}

	private Mono<Void> vectors(ServerHttpResponse response, EmbeddingOrder order) {
		if (order.model() != null) {
			checkModel(order.model());
		}
		return this.embeddings.of(order).flatMap((encoded) -> {
			if (encoded.model().version() != null) {
				response.getHeaders().set(VERSION, encoded.model().version());
			}
			return write(response, Embeddings.answer(order, encoded));
		});
	}

	private Mono<Void> text(ServerHttpResponse response, boolean chat, TextOrder order) {
		String model = (order.model() != null) ? checkModel(order.model()) : this.texts.model();
		Answer answer = new Answer(chat, model, order);
		AtomicBoolean known = new AtomicBoolean();
		Consumer<ModelVersion> writtenBy = (by) -> {
			// before the first piece of any text, and so before the headers are sent
			if (by.version() != null && known.compareAndSet(false, true)) {
				response.getHeaders().set(VERSION, by.version());
				answer.writtenBy(by.version());
			}
		};
		Flux<Texts.Piece> pieces = this.texts.write(order)
			.contextWrite((context) -> context.put(TextGenerator.WRITTEN_BY, writtenBy))
			.onErrorMap(InvalidInputException.class, (failure) -> RefusedException.of(failure, chat));
		if (order.stream()) {
			response.getHeaders().set(HttpHeaders.CONTENT_TYPE, "text/event-stream;charset=UTF-8");
			response.getHeaders().set(HttpHeaders.CACHE_CONTROL, "no-cache");
			return write(response, stream(response, answer, order, pieces));
		}
		response.getHeaders().setContentType(MediaType.APPLICATION_JSON);
		return write(response, whole(answer, order, pieces));
	}

	private Flux<String> stream(ServerHttpResponse response, Answer answer, TextOrder order, Flux<Texts.Piece> pieces) {
		Flux<ObjectNode> events = pieces.concatMapIterable(answer::events, 1);
		if (order.includeUsage()) {
			events = events.concatWith(Mono.fromCallable(() -> answer.usageEvent(this.texts.promptTokens(order))));
		}
		return events.map(HttpService::event)
			.concatWithValues("data: [DONE]\n\n")
			// the status is sent; who reads on finds the error in place of the end
			.onErrorResume((failure) -> response.isCommitted() ? Flux.just(event(error(refusal(failure))))
					: Flux.error(failure));
	}

	/** With the space after the colon, which some clients look for. */
	private static String event(ObjectNode data) {
		return "data: " + data + "\n\n";
	}

	private Flux<String> whole(Answer answer, TextOrder order, Flux<Texts.Piece> pieces) {
		AtomicLong written = new AtomicLong(System.nanoTime());
		Flux<String> pulse = pieces.handle((piece, sink) -> {
			answer.add(piece);
			long now = System.nanoTime();
			if (now - written.get() > PULSE.toNanos()) {
				written.set(now);
				// white space before JSON means nothing
				sink.next("\n");
			}
		});
		return pulse.concatWith(Mono.fromCallable(() -> answer.whole(this.texts.promptTokens(order)).toString()));
	}

	/** Each part at once. */
	private static Mono<Void> write(ServerHttpResponse response, Flux<String> parts) {
		return response.writeAndFlushWith(parts.map((part) -> Mono.just(buffer(response, part))));
	}

	private static Mono<Void> write(ServerHttpResponse response, ObjectNode json) {
		response.getHeaders().setContentType(MediaType.APPLICATION_JSON);
		return response.writeWith(Mono.just(buffer(response, json.toString())));
	}

	private static DataBuffer buffer(ServerHttpResponse response, String text) {
		return response.bufferFactory().wrap(text.getBytes(StandardCharsets.UTF_8));
	}

	private Mono<Void> refuse(ServerHttpResponse response, Throwable failure) {
		RefusedException refusal = refusal(failure);
		response.setStatusCode(HttpStatusCode.valueOf(refusal.status()));
		HttpHeaders headers = response.getHeaders();
		headers.remove(HttpHeaders.CACHE_CONTROL);
		switch (refusal.status()) {
			case 401 -> headers.set(HttpHeaders.WWW_AUTHENTICATE, "Bearer");
			// the rest of a body that may never come or never end
			case 408, 411 -> headers.set(HttpHeaders.CONNECTION, "close");
			// a slot is free again when the next text ends
			case 429, 503 -> headers.set(HttpHeaders.RETRY_AFTER, "1");
			default -> {
				// nothing more to say
			}
		}
		return write(response, error(refusal));
	}

	private RefusedException refusal(Throwable failure) {
		RefusedException refusal = RefusedException.of(failure, this.texts.isUsable());
		if (refusal.status() == 500) {
			LOG.error("A request failed", failure);
		}
		return refusal;
	}

	private static ObjectNode error(RefusedException refusal) {
		ObjectNode node = JsonNodeFactory.instance.objectNode();
		node.putObject("error")
			.put("message", refusal.getMessage())
			.put("type", refusal.type())
			.put("param", refusal.field())
			.put("code", refusal.code());
		return node;
	}

}

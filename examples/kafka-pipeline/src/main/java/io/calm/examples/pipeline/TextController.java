package io.calm.examples.pipeline;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeoutException;

import io.calm.input.InvalidInputException;
import io.calm.streaming.TextChunk;
import io.calm.streaming.TextRequest;
import io.calm.streaming.client.GenerationFailedException;
import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;

import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.codec.ServerSentEvent;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/**
 * What the page's form does: a text goes over Kafka and comes back as server-sent events.
 */
@RestController
final class TextController {

	private static final Logger LOG = LoggerFactory.getLogger(TextController.class);

	private final ModelServices services;

	TextController(ModelServices services) {
		this.services = services;
	}

	/**
	 * What the form sends. What is {@code null} is as the service has it.
	 *
	 * @param model its name, or {@code null} for the first
	 * @param prompt the beginning of the text
	 * @param temperature T
	 * @param exact whether the exact sampler draws
	 * @param candidates N of the batch sampler
	 * @param maxNewTokens the greatest number of new tokens
	 */
	record Form(@Nullable String model, @Nullable String prompt, @Nullable Double temperature, @Nullable Boolean exact,
			@Nullable Integer candidates, @Nullable Integer maxNewTokens) {
	}

	/** The event {@code begun}. */
	record Begun(String id, String model) {
	}

	/** The event {@code chunk}: a patch. */
	record Patch(int seq, String text, int tokens) {
	}

	/** The event {@code end}. */
	record End(TextChunk.Status status, TextChunk.@Nullable FinishReason finishReason, int promptTokens,
			int completionTokens) {
	}

	/** The event {@code failure}, in plain words. */
	record Failure(String message) {
	}

	@PostMapping(path = "/texts", consumes = MediaType.APPLICATION_JSON_VALUE,
			produces = MediaType.TEXT_EVENT_STREAM_VALUE)
	Flux<ServerSentEvent<Object>> write(@RequestBody Form form) {
		return Flux.defer(() -> {
			ModelService service = this.services.of(form.model());
			TextRequest request = request(form);
			// who goes away cancels the flux, and so the generation
			return service.client()
				.stream(request)
				.flatMapIterable(TextController::events)
				.startWith(event("begun", new Begun(request.id(), service.name())));
		}).onErrorResume((failure) -> Flux.just(event("failure", new Failure(inPlainWords(failure)))));
	}

	@DeleteMapping("/texts/{id}")
	void cancel(@PathVariable String id, @RequestParam(required = false) @Nullable String model) {
		this.services.of(model).client().cancel(id);
	}

	@ExceptionHandler
	ProblemDetail refused(InvalidInputException failure) {
		return ProblemDetail.forStatusAndDetail(HttpStatus.BAD_REQUEST, inPlainWords(failure));
	}

	private static TextRequest request(Form form) {
		return TextRequest.of((form.prompt() != null) ? form.prompt() : "", (options) -> {
			if (form.temperature() != null) {
				options.temperature(form.temperature());
			}
			if (form.exact() != null) {
				options.exact(form.exact());
			}
			if (form.candidates() != null) {
				options.candidates(form.candidates());
			}
			if (form.maxNewTokens() != null) {
				options.maxNewTokens(form.maxNewTokens());
			}
		});
	}

	private static List<ServerSentEvent<Object>> events(TextChunk chunk) {
		List<ServerSentEvent<Object>> events = new ArrayList<>();
		events.add(event("chunk", new Patch(chunk.seq(), chunk.text(), chunk.tokens())));
		TextChunk.End end = chunk.end();
		if (end != null) {
			events.add(event("end", new End(end.status(), end.finishReason(), end.usage().promptTokens(),
					end.usage().completionTokens())));
		}
		return events;
	}

	private static ServerSentEvent<Object> event(String name, Object data) {
		return ServerSentEvent.builder(data).event(name).build();
	}

	/** Whatever the service says of a request, it says without prompts and texts. */
	static String inPlainWords(Throwable failure) {
		if (failure instanceof GenerationFailedException refused) {
			String why = String.valueOf(refused.getMessage()).substring((refused.reason() + ": ").length());
			return switch (refused.reason()) {
				case MODEL_FAILED -> "The model failed while it wrote: " + why + ".";
				case NOT_DELIVERED, TOO_MANY_DELIVERIES -> "The text could not be delivered: " + why + ".";
				default -> "The service refused the request: " + why + ".";
			};
		}
		if (failure instanceof InvalidInputException invalid) {
			return invalid.getMessage() + ".";
		}
		if (failure instanceof TimeoutException) {
			return "The service has not answered in time. It may be away, or have too much to do.";
		}
		if (failure instanceof KafkaException) {
			return "The broker cannot be reached, so the request could not be sent.";
		}
		LOG.error("A text could not be streamed", failure);
		return "This application failed; its log says why.";
	}

}

package io.calm.examples.pipeline;

import java.time.Duration;

import reactor.core.publisher.BufferOverflowStrategy;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Sinks;

import org.springframework.http.MediaType;
import org.springframework.http.codec.ServerSentEvent;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/**
 * The end of the pipeline: shows the page what arrives in the topic of stories.
 */
@RestController
final class Stories {

	private static final int SHOWN = 48;

	private static final Duration HEARTBEAT = Duration.ofSeconds(15);

	private final Sinks.Many<String> stories = Sinks.many().replay().limit(SHOWN);

	/** In a group of its own: every page shows all stories. */
	@KafkaListener(groupId = "calm-pipeline-page-${random.uuid}", topics = "${calm.pipeline.stories}",
			properties = "auto.offset.reset=earliest")
	void arrived(String story) {
		this.stories.tryEmitNext(story).orThrow();
	}

	@GetMapping(path = "/stories", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
	Flux<ServerSentEvent<String>> stories() {
		return Flux.merge(this.stories.asFlux()
			// a page that does not read misses some, else all would be kept for it
			.onBackpressureBuffer(SHOWN, BufferOverflowStrategy.DROP_OLDEST)
			.map((story) -> ServerSentEvent.builder(story).event("story").build()),
				// a connection that is gone is noticed
				Flux.interval(HEARTBEAT).map((each) -> ServerSentEvent.<String>builder().comment("").build()));
	}

}

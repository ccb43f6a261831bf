package io.calm.streaming.app;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.stream.Stream;

import io.calm.streaming.TextChunk;
import io.calm.streaming.TextRequest;
import io.calm.streaming.client.CalmKafkaClient;

import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.servlet.mvc.method.annotation.StreamingResponseBody;

/**
 * A client of the demonstration:
 * {@code curl -N 'localhost:8080/generate?prompt=One day, '} goes over Kafka and back.
 */
@RestController
@ConditionalOnBooleanProperty("calm.demo")
class DemoController {

	private final CalmKafkaClient client;

	DemoController(CalmKafkaClient client) {
		this.client = client;
	}

	@GetMapping(path = "/generate", produces = "text/plain;charset=UTF-8")
	StreamingResponseBody generate(@RequestParam(defaultValue = "") String prompt,
			@RequestParam(defaultValue = "120") int tokens, @RequestParam(defaultValue = "0.5") double temperature) {
		TextRequest request = TextRequest.of(prompt,
				(options) -> options.maxNewTokens(tokens).temperature(temperature));
		return (out) -> {
			// closed when the client goes away: then nothing more is generated
			try (Stream<TextChunk> text = this.client.stream(request).toStream(1)) {
				text.forEach((chunk) -> write(chunk.text(), out));
			}
		};
	}

	private static void write(String text, OutputStream out) {
		try {
			out.write(text.getBytes(StandardCharsets.UTF_8));
			out.flush();
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

}

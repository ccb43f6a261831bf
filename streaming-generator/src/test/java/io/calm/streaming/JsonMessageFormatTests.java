package io.calm.streaming;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;

import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * What is written and read is what the documentation says.
 */
class JsonMessageFormatTests {

	private static final Path DOCUMENTATION = Path.of("../docs/kafka");

	private final JsonMessageFormat format = new JsonMessageFormat();

	private static byte[] example(String name) throws IOException {
		return Files.readAllBytes(DOCUMENTATION.resolve(name + ".example.json"));
	}

	private static List<String> errors(String schema, byte[] message) throws IOException {
		Schema read = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
			.getSchema(Files.readString(DOCUMENTATION.resolve(schema + ".schema.json")), InputFormat.JSON);
		return read.validate(new String(message, StandardCharsets.UTF_8), InputFormat.JSON)
			.stream()
			.map(Object::toString)
			.toList();
	}

	@Test
	void examplesAreValid() throws IOException {
		for (String name : List.of("request", "chunk", "cancel")) {
			assertThat(errors(name, example(name))).as(name).isEmpty();
		}
	}

	@Test
	void schemasRefuse() throws IOException {
		assertThat(errors("request", "{\"version\": 2, \"prompt\": \"\"}".getBytes(StandardCharsets.UTF_8)))
			.isNotEmpty();
		assertThat(
				errors("request", "{\"version\": 1, \"prompt\": \"\", \"topP\": 1}".getBytes(StandardCharsets.UTF_8)))
			.isNotEmpty();
		assertThat(errors("chunk", example("request"))).isNotEmpty();
		assertThat(errors("cancel", "{\"version\": 1}".getBytes(StandardCharsets.UTF_8))).isNotEmpty();
	}

	@Test
	void requestIsWhatItWas() throws IOException {
		TextRequest full = TextRequest.of("say \"Grüße\" \uD83D\uDC1F\n",
				(request) -> request.id("a")
					.maxNewTokens(8)
					.temperature(0.25)
					.candidates(3)
					.exact(true)
					.seed(Long.MIN_VALUE)
					.stop("x", "y")
					.deadline(Instant.ofEpochMilli(5)));
		TextRequest plain = TextRequest.of("", (request) -> request.id("b"));
		for (TextRequest each : List.of(full, plain)) {
			byte[] written = this.format.write(each);
			assertThat(errors("request", written)).isEmpty();
			assertThat(this.format.readRequest(each.id(), each.deadline(), written)).isEqualTo(each);
		}
	}

	@Test
	void requestOfTheExampleIsRead() throws IOException {
		assertThat(this.format.readRequest("a", null, example("request"))).isEqualTo(TextRequest.of("One day, ",
				(request) -> request.id("a")
					.maxNewTokens(120)
					.temperature(0.5)
					.candidates(200)
					.exact(false)
					.seed(7)
					.stop("\n\n")));
	}

	@Test
	void chunkIsWhatItWas() throws IOException {
		TextChunk.Usage usage = new TextChunk.Usage(3, 40);
		List<TextChunk> chunks = List
			.of(new TextChunk("a", 5L << 32, 0, " fish", 4, null), new TextChunk("a", 5L << 32, 1, "", 0,
					new TextChunk.End(TextChunk.Status.CANCELLED, TextChunk.FinishReason.DEADLINE, null, usage, 2)));
		for (TextChunk each : chunks) {
			assertThat(errors("chunk", this.format.write(each))).isEmpty();
			assertThat(this.format.readChunk(this.format.write(each))).isEqualTo(each);
		}
		for (FailureReason reason : FailureReason.values()) {
			TextChunk failed = new TextChunk("a", 1, 0, "", 0,
					new TextChunk.End(TextChunk.Status.FAILED, null, new TextChunk.Failure(reason, "no"), usage, 1));
			assertThat(errors("chunk", this.format.write(failed))).isEmpty();
			assertThat(this.format.readChunk(this.format.write(failed))).isEqualTo(failed);
		}
		assertThat(Arrays.stream(TextChunk.FinishReason.values()))
			.allSatisfy(
					(reason) -> assertThat(errors("chunk",
							this.format.write(new TextChunk("a", 1, 0, "", 0,
									new TextChunk.End(TextChunk.Status.COMPLETED, reason, null, usage, 1)))))
						.isEmpty());
	}

	@Test
	void chunkOfALaterServiceIsRead() {
		TextChunk read = this.format.readChunk("""
				{"version": 1, "requestId": "a", "attempt": 1, "seq": 0, "text": "", "tokens": 0, "mood": "good",
				 "end": {"status": "FAILED", "failure": {"reason": "BORED", "message": "of this"},
				 "usage": {"promptTokens": 1, "completionTokens": 0}, "chunks": 1}}"""
			.getBytes(StandardCharsets.UTF_8));
		assertThat(read.end()).isNotNull()
			.satisfies((end) -> assertThat(end.failure())
				.isEqualTo(new TextChunk.Failure(FailureReason.UNKNOWN, "of this")));
	}

	@Test
	void cancellationIsWhatItWas() throws IOException {
		CancelRequest cancel = new CancelRequest("a");
		assertThat(errors("cancel", this.format.write(cancel))).isEmpty();
		assertThat(this.format.readCancel(this.format.write(cancel))).isEqualTo(cancel);
	}

	@Test
	void errorsDoNotQuoteTheMessage() {
		for (String message : List.of("secret", "{\"version\": 1, \"prompt\": secret}", "{\"version\": \"secret\"}",
				"[\"secret\"]")) {
			assertThatExceptionOfType(InvalidMessageException.class)
				.isThrownBy(() -> this.format.readRequest("a", null, message.getBytes(StandardCharsets.UTF_8)))
				.withMessageNotContaining("secret");
		}
	}

	@Test
	void privateTextsAreNotPrinted() {
		assertThat(TextRequest.of("secret", (request) -> request.stop("secret")).toString()).doesNotContain("secret");
		assertThat(new TextChunk("a", 1, 0, "secret", 1, null).toString()).doesNotContain("secret");
	}

}

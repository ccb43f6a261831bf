package io.calm.streaming.service;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

import io.calm.streaming.FailureReason;
import io.calm.streaming.JsonMessageFormat;
import io.calm.streaming.MessageHeaders;
import io.calm.streaming.TestBroker;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.MissingNode;
import tools.jackson.databind.node.ObjectNode;

import org.springframework.boot.context.properties.bind.Binder;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * Holds the service to {@code docs/asyncapi.yaml}, and the document to the service: what
 * a service with the default names writes has no field and no header that the document
 * does not know, and the document has none that no message had.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class AsyncApiTests {

	/** Makes the topics have their default names. */
	private static final String PREFIX = "calm";

	private final StreamingProperties defaults = new Binder().bindOrCreate("calm.streaming", StreamingProperties.class);

	private final AsyncApiDocument document;

	private final ServiceUnderTest service;

	AsyncApiTests() throws IOException {
		this.document = AsyncApiDocument.read();
		this.service = ServiceUnderTest.start(PREFIX, "calm.streaming.topics.create=true",
				"calm.streaming.group=" + this.defaults.group(), "calm.streaming.cloud-events=true");
	}

	@AfterAll
	void stop() {
		this.service.close();
	}

	/** Sends of everything what there is. */
	@BeforeAll
	void messages() {
		// its answer shows that the topics, which the service has just made, are there
		send("headers", TestBroker.bytes("{\"version\": 1, \"prompt\": \"1\"}"));
		this.service.client()
			.stream("2",
					(request) -> request.id("full")
						.maxNewTokens(8)
						.temperature(0.5)
						.candidates(3)
						.exact(false)
						.seed(7)
						.stop("x")
						.deadline(Instant.now().plusSeconds(600)))
			.collectList()
			.block(ServiceUnderTest.patience());
		send("refused", TestBroker.bytes("{\"version\": 1, \"prompt\": \"1\", \"mood\": \"good\"}"));
		this.service
			.send(new ProducerRecord<>(address("requests"), TestBroker.bytes("plain"), TestBroker.bytes("none")));
		// fits its topic, but its dead letter does not
		send("large", new byte[1_048_000]);
		this.service.send("cancelled", "feed");
		await().atMost(ServiceUnderTest.patience()).until(() -> !this.service.text().feeds("feed").isEmpty());
		this.service.client().cancel("cancelled");
		this.service.end("cancelled");
	}

	/** With each header that the document names for a request. */
	private void send(String id, byte[] value) {
		ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(address("requests"), TestBroker.bytes(id), value);
		Map<String, byte[]> values = Map.of("calm_deadline",
				TestBroker.bytes(Long.toString(Instant.now().plusSeconds(600).toEpochMilli())), "kafka_replyTopic",
				TestBroker.bytes(address("chunks")), "kafka_replyPartition", new byte[] { 0, 0, 0, 1 },
				"kafka_correlationId", new byte[] { -1, 0, 1 }, "ce_specversion", TestBroker.bytes("1.0"));
		AsyncApiDocument.properties(headers("request"))
			.keySet()
			.forEach((name) -> record.headers().add(name, values.getOrDefault(name, TestBroker.bytes("any"))));
		record.headers().add("private", TestBroker.bytes("to the caller"));
		this.service.send(record);
		this.service.end(id);
	}

	private String address(String channel) {
		return this.document.at("/channels/" + channel + "/address").stringValue();
	}

	private JsonNode headers(String message) {
		return this.document.at("/components/messages/" + message + "/headers");
	}

	private JsonNode key(String message) {
		return this.document.at("/components/messages/" + message + "/bindings/kafka/key");
	}

	private JsonNode payload(String message) {
		return AsyncApiDocument.closed(this.document.at("/components/messages/" + message + "/payload"));
	}

	/**
	 * The headers of a record, each only once, in the form that the document has for
	 * them.
	 */
	private ObjectNode headers(String message, ConsumerRecord<byte[], byte[]> record) {
		Map<String, JsonNode> known = AsyncApiDocument.properties(headers(message));
		ObjectNode all = JsonMapper.shared().createObjectNode();
		for (Header header : record.headers()) {
			assertThat(all.has(header.key())).as("%s twice", header.key()).isFalse();
			JsonNode schema = known.getOrDefault(header.key(), MissingNode.getInstance());
			all.set(header.key(), text(header.value(), schema.path("format").asString("").equals("binary")
					? StandardCharsets.ISO_8859_1 : StandardCharsets.UTF_8));
		}
		return all;
	}

	private static Set<String> names(ConsumerRecord<byte[], byte[]> record) {
		return StreamSupport.stream(record.headers().spliterator(), false)
			.map(Header::key)
			.collect(Collectors.toCollection(TreeSet::new));
	}

	/** What is binary has a character for each byte. */
	private static JsonNode text(byte @Nullable [] bytes, Charset charset) {
		if (bytes == null) {
			return JsonNodeFactory.instance.nullNode();
		}
		try {
			return JsonNodeFactory.instance.stringNode(charset.newDecoder().decode(ByteBuffer.wrap(bytes)).toString());
		}
		catch (CharacterCodingException ex) {
			throw new AssertionError("not " + charset, ex);
		}
	}

	private static boolean hasKey(ConsumerRecord<byte[], byte[]> record, String key) {
		return Arrays.equals(record.key(), TestBroker.bytes(key));
	}

	private static boolean isLast(ConsumerRecord<byte[], byte[]> chunk) {
		return ServiceUnderTest.FORMAT.readChunk(chunk.value()).end() != null;
	}

	@Test
	void documentIsWhatAsyncApiSays() throws IOException, InterruptedException {
		String version = this.document.at("/asyncapi").stringValue();
		JsonNode schema = AsyncApiSchema.of(version);
		assertThat(AsyncApiDocument.errors(schema, this.document.asWritten())).isEmpty();
		JsonNode broken = this.document.asWritten().deepCopy();
		((ObjectNode) broken.at("/operations/cancel")).put("action", "read");
		assertThat(AsyncApiDocument.errors(schema, broken)).isNotEmpty();
	}

	@Test
	void namesAreTheDefaults() throws InterruptedException, ExecutionException {
		StreamingProperties.Topics topics = this.defaults.topics();
		assertThat(Stream.of("requests", "chunks", "control", "deadLetters").map(this::address))
			.containsExactly(topics.requests(), topics.chunks(), topics.control(), topics.deadLetters());
		this.document.at("/channels").forEachEntry((name, channel) -> {
			if (!channel.path("address").isNull()) {
				assertThat(channel.at("/bindings/kafka/partitions").asInt()).as(name).isEqualTo(topics.partitions());
			}
		});
		try (Admin admin = Admin.create(TestBroker.connection())) {
			List<JsonNode> groups = admin.listGroups()
				.all()
				.get()
				.stream()
				.map(GroupListing::groupId)
				.<JsonNode>map(JsonNodeFactory.instance::stringNode)
				.toList();
			this.document.at("/operations").forEachEntry((name, operation) -> {
				if (operation.path("action").stringValue().equals("receive")) {
					assertThat(groups).as("group of %s", name)
						.anySatisfy((group) -> assertThat(
								AsyncApiDocument.errors(operation.at("/bindings/kafka/groupId"), group))
							.isEmpty());
				}
			});
		}
		assertThat(this.document.at("/operations/generate/bindings/kafka/groupId/const").stringValue())
			.isEqualTo(this.defaults.group());
		assertThat(this.document.at("/info/version").stringValue())
			.isEqualTo(Integer.toString(JsonMessageFormat.VERSION));
	}

	@Test
	void requestsAreThoseOfTheDocument() {
		List<ConsumerRecord<byte[], byte[]>> sent = TestBroker.read(address("requests"), (all) -> all.size() >= 6);
		Set<String> fields = new TreeSet<>();
		for (ConsumerRecord<byte[], byte[]> record : sent) {
			assertThat(AsyncApiDocument.errors(headers("request"), headers("request", record))).isEmpty();
			if (hasKey(record, "full") || hasKey(record, "headers")) {
				JsonNode value = JsonMapper.shared().readTree(record.value());
				assertThat(AsyncApiDocument.errors(payload("request"), value)).isEmpty();
				fields.addAll(AsyncApiDocument.fields(value));
			}
			if (hasKey(record, "full")) {
				// the client's own
				assertThat(AsyncApiDocument.properties(headers("request")))
					.containsKeys(names(record).toArray(String[]::new));
			}
			if (hasKey(record, "refused")) {
				assertThat(AsyncApiDocument.errors(payload("request"), JsonMapper.shared().readTree(record.value())))
					.isNotEmpty();
			}
		}
		assertThat(fields).isEqualTo(AsyncApiDocument.fieldsOfSchema(payload("request")));
	}

	@Test
	void chunksAreThoseOfTheDocument() {
		List<ConsumerRecord<byte[], byte[]>> chunks = TestBroker.read(address("chunks"),
				(all) -> Stream.of("full", "headers", "refused", "plain", "large", "cancelled")
					.allMatch((key) -> all.stream().anyMatch((record) -> hasKey(record, key) && isLast(record))));
		Set<String> headers = new TreeSet<>();
		Set<String> fields = new TreeSet<>();
		for (ConsumerRecord<byte[], byte[]> record : chunks) {
			JsonNode value = JsonMapper.shared().readTree(record.value());
			assertThat(AsyncApiDocument.errors(headers("chunk"), headers("chunk", record))).isEmpty();
			assertThat(AsyncApiDocument.errors(payload("chunk"), value)).isEmpty();
			assertThat(AsyncApiDocument.errors(key("chunk"), text(record.key(), StandardCharsets.UTF_8))).isEmpty();
			headers.addAll(names(record));
			fields.addAll(AsyncApiDocument.fields(value));
		}
		assertThat(headers).isEqualTo(AsyncApiDocument.properties(headers("chunk")).keySet());
		assertThat(fields).isEqualTo(AsyncApiDocument.fieldsOfSchema(payload("chunk")));
	}

	@Test
	void deadLettersAreThoseOfTheDocument() {
		List<ConsumerRecord<byte[], byte[]>> letters = TestBroker.read(address("deadLetters"),
				(all) -> all.size() >= 3);
		assertThat(letters).hasSize(3);
		Set<String> headers = new TreeSet<>();
		for (ConsumerRecord<byte[], byte[]> record : letters) {
			assertThat(AsyncApiDocument.errors(headers("deadLetter"), headers("deadLetter", record))).isEmpty();
			assertThat(AsyncApiDocument.errors(key("deadLetter"), text(record.key(), StandardCharsets.ISO_8859_1)))
				.isEmpty();
			assertThat(
					AsyncApiDocument.errors(payload("deadLetter"), text(record.value(), StandardCharsets.ISO_8859_1)))
				.isEmpty();
			assertThat(record.value() == null).isEqualTo(names(record).contains("calm_omitted-size"));
			headers.addAll(names(record));
		}
		// the caller's own, which is not read, but kept
		assertThat(headers.remove("private")).isTrue();
		assertThat(headers).isEqualTo(AsyncApiDocument.properties(headers("deadLetter")).keySet());
		assertThat(this.document
			.at("/components/schemas/deadLetterHeaders/allOf/1/properties/" + MessageHeaders.REASON + "/enum"))
			.extracting(JsonNode::stringValue)
			.containsExactlyElementsOf(Arrays.stream(FailureReason.values())
				.filter((reason) -> reason != FailureReason.UNKNOWN)
				.map(Enum::name)
				.toList());
	}

	@Test
	void cancellationsAreThoseOfTheDocument() {
		List<ConsumerRecord<byte[], byte[]>> sent = TestBroker.read(address("control"), (all) -> !all.isEmpty());
		assertThat(sent).isNotEmpty().allSatisfy((record) -> {
			JsonNode value = JsonMapper.shared().readTree(record.value());
			assertThat(AsyncApiDocument.errors(payload("cancellation"), value)).isEmpty();
			assertThat(AsyncApiDocument.fields(value))
				.isEqualTo(AsyncApiDocument.fieldsOfSchema(payload("cancellation")));
			assertThat(names(record)).isEmpty();
			assertThat(AsyncApiDocument.errors(key("cancellation"), text(record.key(), StandardCharsets.UTF_8)))
				.isEmpty();
		});
	}

	@Test
	void examplesAreMessages() {
		this.document.at("/components/messages")
			.forEachEntry((name, message) -> message.path("examples").forEach((example) -> {
				assertThat(AsyncApiDocument.errors(payload(name), example.path("payload"))).as(name).isEmpty();
				if (example.has("headers")) {
					assertThat(AsyncApiDocument.errors(headers(name), example.path("headers"))).as(name).isEmpty();
				}
			}));
	}

	/** What the document does not know is found. */
	@Test
	void strangersAreRefused() {
		ObjectNode chunk = (ObjectNode) this.document.at("/components/messages/chunk/examples/1/payload").deepCopy();
		((ObjectNode) chunk.at("/end/usage")).put("joules", 1);
		assertThat(AsyncApiDocument.errors(payload("chunk"), chunk)).singleElement().asString().contains("joules");
		ObjectNode headers = JsonMapper.shared().createObjectNode().put("content-type", "application/json");
		assertThat(AsyncApiDocument.errors(headers("chunk"), headers)).isEmpty();
		assertThat(AsyncApiDocument.errors(headers("chunk"), headers.deepCopy().put("ce_time", "yesterday")))
			.hasSize(1);
		assertThat(AsyncApiDocument.errors(headers("chunk"), headers.put("mood", "good"))).hasSize(1);
	}

}

package io.calm.examples.pipeline;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;

import io.calm.streaming.TextChunk;
import io.calm.streaming.TextRequest;
import io.calm.streaming.client.GenerationFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.stereotype.Component;

/**
 * The step from products to stories: asks the service for a text, puts its chunks
 * together and writes the result. At least once: a product's offset is committed when its
 * story is written, and as long as service or broker are away, it is tried again.
 */
@Component
final class Enrichment {

	/**
	 * A story holds its product and must fit into a record, however it is escaped; one
	 * that does not would be tried for ever.
	 */
	private static final int LARGEST_PRODUCT = 100_000;

	/** Of the consumer, and of its group. */
	static final String ID = "calm-pipeline";

	private static final Logger LOG = LoggerFactory.getLogger(Enrichment.class);

	private final ModelServices services;

	private final KafkaTemplate<String, String> kafka;

	private final JsonMapper json;

	private final PipelineProperties properties;

	Enrichment(ModelServices services, KafkaTemplate<String, String> kafka, JsonMapper json,
			PipelineProperties properties) {
		this.services = services;
		this.kafka = kafka;
		this.json = json;
		this.properties = properties;
	}

	/** Two at once, which leaves slots for the page. Begins when there is a model. */
	@KafkaListener(id = ID, topics = "${calm.pipeline.products}", concurrency = "2", properties = "max.poll.records=1",
			autoStartup = "false")
	void enrich(ConsumerRecord<String, @Nullable String> record) throws ExecutionException, InterruptedException {
		Product product = (record.serializedValueSize() <= LARGEST_PRODUCT) ? read(record.value()) : null;
		if (product == null) {
			LOG.warn("{}-{}@{} is no product, or larger than {} bytes; it is skipped", record.topic(),
					record.partition(), record.offset(), LARGEST_PRODUCT);
			return;
		}
		String story = this.json.writeValueAsString(write(product));
		this.kafka.send(this.properties.stories(), product.sku(), story).get();
	}

	private @Nullable Product read(@Nullable String value) {
		try {
			return (value != null) ? this.json.readValue(value, Product.class) : null;
		}
		catch (JacksonException ex) {
			return null;
		}
	}

	private Story write(Product product) {
		ModelService service = this.services.first();
		// another try is another request: it has an id of its own
		TextRequest request = TextRequest.of(product.description(),
				(options) -> options.temperature(0.3).maxNewTokens(120));
		return story(product, service.name(), service.client().stream(request));
	}

	/**
	 * What a trial ends with, unless another one may end otherwise.
	 * @throws RuntimeException if the service has not said a word
	 */
	static Story story(Product product, String model, Flux<TextChunk> text) {
		AtomicBoolean begun = new AtomicBoolean();
		try {
			return Story.of(product, model, text.doOnNext((chunk) -> begun.set(true)).toIterable());
		}
		catch (GenerationFailedException ex) {
			// the service has spoken: it would say the same again
			return new Story(product, "", model, ex.reason().name(), 0);
		}
		catch (RuntimeException ex) {
			// it is there, and the text takes longer than anybody waits: the next time,
			// too
			if (begun.get() && ex.getCause() instanceof TimeoutException) {
				return new Story(product, "", model, "TIMEOUT", 0);
			}
			throw ex;
		}
	}

}

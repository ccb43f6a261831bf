package io.calm.examples.pipeline;

import java.util.concurrent.ExecutionException;

import io.calm.streaming.TextRequest;
import io.calm.streaming.client.GenerationFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.stereotype.Component;

/**
 * The step from products to stories: asks the service for a text, puts its chunks
 * together and writes the result. At least once: a product's offset is committed when its
 * story is written.
 */
@Component
final class Enrichment {

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

	/** Two at once, which leaves slots for the page. */
	@KafkaListener(id = "calm-pipeline", topics = "${calm.pipeline.products}", concurrency = "2")
	void enrich(ConsumerRecord<String, String> record) throws ExecutionException, InterruptedException {
		try {
			Product product = this.json.readValue(record.value(), Product.class);
			Story story = write(product, record);
			this.kafka.send(this.properties.stories(), product.sku(), this.json.writeValueAsString(story)).get();
		}
		catch (JacksonException ex) {
			LOG.warn("{}-{}@{} is no product; it is skipped", record.topic(), record.partition(), record.offset());
		}
	}

	private Story write(Product product, ConsumerRecord<?, ?> record) {
		ModelService service = this.services.first();
		// a name of its own for each record: delivered again, it is the same request
		String id = product.sku() + "@" + record.partition() + "-" + record.offset() + "-" + record.timestamp();
		TextRequest request = TextRequest.of(product.description(),
				(options) -> options.id(id).temperature(0.5).maxNewTokens(120));
		try {
			return Story.of(product, service.name(), service.client().chunks(request));
		}
		catch (GenerationFailedException ex) {
			return new Story(product, "", service.name(), ex.reason().name(), 0);
		}
	}

}

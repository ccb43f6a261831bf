package io.calm.examples.pipeline;

import java.io.IOException;
import java.io.InputStream;
import java.util.List;

import org.apache.kafka.clients.admin.NewTopic;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.json.JsonMapper;

import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.NestedExceptionUtils;
import org.springframework.core.io.ClassPathResource;
import org.springframework.http.HttpStatus;
import org.springframework.kafka.config.TopicBuilder;
import org.springframework.kafka.core.KafkaAdmin;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.CommonErrorHandler;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.util.backoff.FixedBackOff;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

/**
 * The beginning of the pipeline: sends the descriptions of {@code products.json}, when
 * the application starts with its own, empty broker, and when the page asks for it.
 */
@RestController
final class Products {

	private static final Logger LOG = LoggerFactory.getLogger(Products.class);

	private final List<Product> products;

	private final KafkaTemplate<String, String> kafka;

	private final JsonMapper json;

	private final PipelineProperties properties;

	Products(KafkaTemplate<String, String> kafka, JsonMapper json, PipelineProperties properties) throws IOException {
		try (InputStream resource = new ClassPathResource("products.json", Products.class).getInputStream()) {
			this.products = List.of(json.readValue(resource, Product[].class));
		}
		this.kafka = kafka;
		this.json = json;
		this.properties = properties;
	}

	/** The topics, and what happens when a record cannot be worked on. */
	@Configuration(proxyBeanMethods = false)
	static class KafkaSettings {

		@Bean
		KafkaAdmin.NewTopics pipelineTopics(PipelineProperties properties) {
			return new KafkaAdmin.NewTopics(topic(properties.products()), topic(properties.stories()));
		}

		@Bean
		CommonErrorHandler untilItWorks() {
			DefaultErrorHandler handler = new DefaultErrorHandler(
					new FixedBackOff(1000, FixedBackOff.UNLIMITED_ATTEMPTS));
			handler.setRetryListeners((record, ex, attempt) -> {
				if (ex != null && Integer.bitCount(attempt) == 1) {
					// now and then: what is waited for may be away for hours
					LOG.warn("{}-{}@{} is tried again; attempts so far: {} ({})", record.topic(), record.partition(),
							record.offset(), attempt, NestedExceptionUtils.getMostSpecificCause(ex).toString());
				}
			});
			return handler;
		}

		private static NewTopic topic(String name) {
			return TopicBuilder.name(name).partitions(2).build();
		}

	}

	@PostMapping("/products")
	@ResponseStatus(HttpStatus.ACCEPTED)
	void send() {
		for (Product product : this.products) {
			this.kafka.send(this.properties.products(), product.sku(), this.json.writeValueAsString(product));
		}
	}

}

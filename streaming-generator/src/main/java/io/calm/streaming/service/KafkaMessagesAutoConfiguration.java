package io.calm.streaming.service;

import java.util.HashMap;
import java.util.Map;

import io.calm.streaming.JsonMessageFormat;
import io.calm.streaming.MessageFormat;
import io.calm.streaming.client.CalmKafkaClient;

import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.kafka.autoconfigure.KafkaAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Lazy;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.ProducerFactory;

/**
 * What callers and the service have in common, and the client.
 */
@AutoConfiguration(after = KafkaAutoConfiguration.class)
@EnableConfigurationProperties(StreamingProperties.class)
public final class KafkaMessagesAutoConfiguration {

	KafkaMessagesAutoConfiguration() {
	}

	@Bean
	@ConditionalOnMissingBean
	MessageFormat calmMessageFormat() {
		return new JsonMessageFormat();
	}

	/** Made when somebody uses it. */
	@Bean
	@Lazy
	@ConditionalOnMissingBean
	@ConditionalOnBean({ ProducerFactory.class, ConsumerFactory.class })
	CalmKafkaClient calmKafkaClient(StreamingProperties properties, MessageFormat format,
			ProducerFactory<?, ?> producers, ConsumerFactory<?, ?> consumers) {
		Map<String, Object> kafka = new HashMap<>(producers.getConfigurationProperties());
		kafka.putAll(consumers.getConfigurationProperties());
		return CalmKafkaClient.create(kafka, (options) -> {
			options.requests(properties.topics().requests())
				.chunks(properties.topics().chunks())
				.control(properties.topics().control())
				.timeout(properties.client().timeout())
				.format(format);
			if (properties.client().replyTopic() != null) {
				options.replyTopic(properties.client().replyTopic());
			}
		});
	}

}

package io.calm.streaming.service;

import java.time.Clock;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.IntSupplier;

import io.calm.generation.EngineStatus;
import io.calm.input.InvalidInputException;
import io.calm.spring.CalmGenerationAutoConfiguration;
import io.calm.spring.CalmProperties;
import io.calm.spring.ModelStatus;
import io.calm.spring.ServedModel;
import io.calm.spring.TextGenerator;
import io.calm.streaming.MessageFormat;
import io.micrometer.observation.ObservationRegistry;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;

import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.kafka.autoconfigure.KafkaAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.ConsumerPostProcessor;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.KafkaAdmin;
import org.springframework.kafka.core.ProducerFactory;

/**
 * The service, in an application with a {@link TextGenerator}.
 */
@AutoConfiguration(
		after = { KafkaMessagesAutoConfiguration.class, CalmGenerationAutoConfiguration.class,
				KafkaAutoConfiguration.class },
		afterName = "org.springframework.boot.micrometer.observation.autoconfigure.ObservationAutoConfiguration")
@ConditionalOnBean({ TextGenerator.class, ProducerFactory.class, ConsumerFactory.class, KafkaAdmin.class })
@ConditionalOnBooleanProperty(name = "calm.streaming.enabled", matchIfMissing = true)
public final class KafkaStreamingAutoConfiguration {

	private static final int DEFAULT_SLOTS = 4;

	KafkaStreamingAutoConfiguration() {
	}

	@Bean
	StreamingProducers calmStreamingProducers(ProducerFactory<?, ?> factory, StreamingProperties properties) {
		return StreamingProducers.of(factory, properties);
	}

	@Bean
	StreamingService calmStreamingService(StreamingProperties properties, MessageFormat format,
			StreamingProducers producers, ConsumerFactory<?, ?> consumers, KafkaAdmin admin, TextGenerator generator,
			ObjectProvider<CalmProperties> calm, ObjectProvider<ServedModel> model,
			ObjectProvider<ObservationRegistry> observations, ObjectProvider<RequestObservationConvention> convention) {
		Clock clock = Clock.systemUTC();
		CalmProperties defaults = calm.getIfAvailable();
		ServedModel served = model.getIfAvailable();
		Long seed = (defaults != null) ? defaults.generation().seed() : null;
		Outgoing outgoing = new Outgoing(producers.template(), format, properties);
		Admission admission = new Admission(format, generator, properties, (seed != null) ? seed : 0, clock);
		BooleanSupplier usable = () -> served == null || served.status().state() == ModelStatus.State.USABLE;
		Generations generations = new Generations(generator, admission, outgoing, properties,
				observations.getIfUnique(() -> ObservationRegistry.NOOP), convention.getIfUnique(), clock, usable);
		Map<String, Object> configuration = consumers.getConfigurationProperties();
		ConsumerFactory<byte[], byte[]> factory = consumers(consumers, configuration, properties);
		IntSupplier workers = () -> slots(served, defaults) + properties.ahead();
		// nothing for a model that could not do anything with it
		IntSupplier limit = () -> usable.getAsBoolean() ? workers.getAsInt() : 0;
		RequestConsumer consumer = switch (properties.mode()) {
			case STREAM -> new GroupConsumer(factory, properties, generations, outgoing, limit, null);
			case RESULTS -> new GroupConsumer(factory, properties, generations, outgoing, limit,
					new ResultPublisher(outgoing, producers.template(), admin.getConfigurationProperties()));
			case SHARE_GROUP -> new ShareGroupConsumer(ShareConsumers.factory(configuration), properties, generations,
					outgoing, workers);
		};
		return new StreamingService(properties, generations, consumer,
				new ControlListener(factory, format, generations, properties, clock),
				() -> (served != null) ? served.open() : CompletableFuture.completedFuture(null),
				() -> !properties.topics().create() || prepared(admin, properties));
	}

	private static boolean prepared(KafkaAdmin admin, StreamingProperties properties) {
		return TopicCreation.create(admin.getConfigurationProperties(), properties.topics())
				&& (properties.mode() != StreamingProperties.Mode.SHARE_GROUP
						|| ShareConsumers.beginAtTheEarliest(admin.getConfigurationProperties(), properties.group()));
	}

	private static int slots(@Nullable ServedModel model, @Nullable CalmProperties properties) {
		EngineStatus engine = (model != null) ? model.status().engine() : null;
		if (engine != null) {
			return engine.slots();
		}
		return (properties != null) ? properties.engine().slots() : DEFAULT_SLOTS;
	}

	/**
	 * As those of the application; requests that nobody has taken up yet are not missed.
	 */
	@SuppressWarnings({ "unchecked", "rawtypes" })
	private static ConsumerFactory<byte[], byte[]> consumers(ConsumerFactory<?, ?> application,
			Map<String, Object> given, StreamingProperties properties) {
		Map<String, Object> configuration = new HashMap<>(given);
		if (configuration.containsKey(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG)) {
			throw new InvalidInputException(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG,
					"is set, with which the attempts of a service that has started again could not be told from"
							+ " those before",
					"remove it from the properties of the consumer");
		}
		configuration.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
		configuration.putIfAbsent(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
		// of what was polled, none waits outside of the broker for a slot
		configuration.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 1);
		configuration.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
		if (!"consumer".equalsIgnoreCase(String.valueOf(configuration.get(ConsumerConfig.GROUP_PROTOCOL_CONFIG)))) {
			configuration.putIfAbsent(ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG,
					List.of(CooperativeStickyAssignor.class));
		}
		else if (properties.mode() == StreamingProperties.Mode.RESULTS) {
			throw new InvalidInputException(ConsumerConfig.GROUP_PROTOCOL_CONFIG,
					"is consumer, with which transactions fail after a rebalance that leaves a member its partitions",
					"use the protocol classic with calm.streaming.mode=results");
		}
		if (properties.mode() == StreamingProperties.Mode.RESULTS) {
			// offsets that are being committed in a transaction are waited for
			configuration.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
		}
		DefaultKafkaConsumerFactory<byte[], byte[]> factory = new DefaultKafkaConsumerFactory<>(configuration,
				new ByteArrayDeserializer(), new ByteArrayDeserializer());
		application.getListeners().forEach((listener) -> factory.addListener((ConsumerFactory.Listener) listener));
		application.getPostProcessors()
			.forEach((processor) -> factory.addPostProcessor((ConsumerPostProcessor) processor));
		return factory;
	}

}

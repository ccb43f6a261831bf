package io.calm.streaming.service;

import java.util.HashMap;
import java.util.Map;
import java.util.UUID;

import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArraySerializer;

import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.core.ProducerFactory;
import org.springframework.kafka.core.ProducerPostProcessor;
import org.springframework.kafka.support.ProducerListener;

/**
 * The producer of the service, made of that of the application: bytes, idempotent, and
 * acknowledged by all replicas in sync.
 *
 * @param factory of the producers
 * @param template that sends with them; in transactions, if there is a prefix for their
 * ids
 */
record StreamingProducers(DefaultKafkaProducerFactory<byte[], byte[]> factory,
		KafkaTemplate<byte[], byte[]> template) implements AutoCloseable {

	/** Dead letters have the original bytes, also where these are too many. */
	private static final int MAX_REQUEST_BYTES = 16 << 20;

	/**
	 * How long an abandoned transaction may hold up the readers of committed records. One
	 * of ours takes milliseconds.
	 */
	private static final int TRANSACTION_MILLIS = 10_000;

	static StreamingProducers of(ProducerFactory<?, ?> application, StreamingProperties properties) {
		Map<String, Object> configuration = new HashMap<>(application.getConfigurationProperties());
		configuration.remove(ProducerConfig.TRANSACTIONAL_ID_CONFIG);
		configuration.put(ProducerConfig.ACKS_CONFIG, "all");
		configuration.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
		configuration.putIfAbsent(ProducerConfig.CLIENT_ID_CONFIG, properties.group());
		configuration.putIfAbsent(ProducerConfig.MAX_REQUEST_SIZE_CONFIG, MAX_REQUEST_BYTES);
		// a reader waits for each chunk
		configuration.putIfAbsent(ProducerConfig.LINGER_MS_CONFIG, 0);
		boolean transactional = properties.mode() == StreamingProperties.Mode.RESULTS;
		if (transactional) {
			configuration.put(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG, TRANSACTION_MILLIS);
		}
		DefaultKafkaProducerFactory<byte[], byte[]> factory = new DefaultKafkaProducerFactory<>(configuration,
				new ByteArraySerializer(), new ByteArraySerializer());
		copyListeners(application, factory);
		if (transactional) {
			// new with every start: what keeps an older one from writing is the group
			factory.setTransactionIdPrefix(properties.group() + "-" + UUID.randomUUID() + "-");
		}
		KafkaTemplate<byte[], byte[]> template = new KafkaTemplate<>(factory);
		// to look at partitions
		template.setAllowNonTransactional(true);
		// whoever sends sees what fails; the default logs it too
		template.setProducerListener(new ProducerListener<>() {
		});
		return new StreamingProducers(factory, template);
	}

	/** Such as those that make metrics. */
	@SuppressWarnings({ "unchecked", "rawtypes" })
	private static void copyListeners(ProducerFactory<?, ?> from, DefaultKafkaProducerFactory<byte[], byte[]> to) {
		from.getListeners().forEach((listener) -> to.addListener((ProducerFactory.Listener) listener));
		from.getPostProcessors().forEach((processor) -> to.addPostProcessor((ProducerPostProcessor) processor));
	}

	@Override
	public void close() {
		this.factory.destroy();
	}

}

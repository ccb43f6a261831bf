package io.calm.streaming.client;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

import io.calm.streaming.TestBroker;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

class ChunkReaderTests {

	private final String topic = TestBroker.prefix() + ".chunks";

	private final BlockingQueue<String> read = new LinkedBlockingQueue<>();

	private final CountDownLatch held = new CountDownLatch(1);

	/** Holds the reader until it may go on. */
	private void received(ConsumerRecord<byte[], byte[]> record) {
		this.read.add(new String(record.value(), StandardCharsets.UTF_8));
		try {
			this.held.await();
		}
		catch (InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

	private void write(String value) {
		TestBroker.send(new ProducerRecord<>(this.topic, TestBroker.bytes("key"), TestBroker.bytes(value)));
	}

	/** One place is lost, not all up to now: with them a text would never end. */
	@Test
	void goesOnAfterWhatWasDeleted() throws Exception {
		TestBroker.createTopics(List.of(this.topic), 1);
		Map<String, Object> oneByOne = new HashMap<>(TestBroker.connection());
		oneByOne.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 1);
		oneByOne.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 1);
		try (ChunkReader reader = new ChunkReader(this.topic, oneByOne, this::received,
				(failure) -> fail("lost", failure)); Admin admin = Admin.create(TestBroker.connection())) {
			reader.ready().get(60, TimeUnit.SECONDS);
			write("0");
			assertThat(this.read.poll(60, TimeUnit.SECONDS)).isEqualTo("0");
			// it may have fetched the next one already
			for (String each : List.of("1", "2", "3", "4", "5")) {
				write(each);
			}
			admin.deleteRecords(Map.of(new TopicPartition(this.topic, 0), RecordsToDelete.beforeOffset(4))).all().get();
			this.held.countDown();
			String next = this.read.poll(60, TimeUnit.SECONDS);
			while (next != null && !next.equals("5")) {
				assertThat(next).isIn("1", "4");
				next = this.read.poll(20, TimeUnit.SECONDS);
			}
			assertThat(next).isEqualTo("5");
		}
	}

}

package io.calm.streaming.app;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.net.BindException;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;

import io.calm.input.InvalidInputException;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import kafka.tools.StorageTool;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.utils.Time;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import org.springframework.util.FileSystemUtils;

/**
 * A broker in this process, for machines without Kafka: one node, on the loopback
 * interface, with its data in a temporary directory. An application that starts one has
 * the dependencies kafka_2.13, kafka-server and kafka-server-common.
 */
public final class DemoBroker implements AutoCloseable {

	private static final Logger LOG = LoggerFactory.getLogger(DemoBroker.class);

	private final Path directory;

	private final String address;

	private final KafkaRaftServer server;

	private DemoBroker(Path directory, String address, KafkaRaftServer server) {
		this.directory = directory;
		this.address = address;
		this.server = server;
	}

	/**
	 * Starts it.
	 * @param port for its clients; 0 is any that is free
	 * @return the broker; close it
	 * @throws InvalidInputException if the port is in use
	 * @throws UncheckedIOException if its data cannot be written
	 */
	public static DemoBroker start(int port) {
		try {
			// both are held at once: asked for one after the other, they may be the same
			int clients;
			int controllers;
			try (ServerSocket first = listen(port); ServerSocket second = new ServerSocket(0)) {
				clients = first.getLocalPort();
				controllers = second.getLocalPort();
			}
			Path directory = Files.createTempDirectory("calm-demo-broker-");
			Properties properties = properties(directory.resolve("data"), clients, controllers);
			format(directory, properties);
			KafkaRaftServer server = new KafkaRaftServer(new KafkaConfig(properties), Time.SYSTEM);
			server.startup();
			String address = "localhost:" + clients;
			LOG.info("A broker for the demonstration listens at {}", address);
			return new DemoBroker(directory, address, server);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	private static Properties properties(Path data, int clients, int controllers) {
		Properties properties = new Properties();
		properties.setProperty("process.roles", "broker,controller");
		properties.setProperty("node.id", "1");
		properties.setProperty("controller.quorum.voters", "1@localhost:" + controllers);
		properties.setProperty("controller.listener.names", "CONTROLLER");
		properties.setProperty("listeners",
				"PLAINTEXT://localhost:" + clients + ",CONTROLLER://localhost:" + controllers);
		properties.setProperty("log.dirs", data.toString());
		properties.setProperty("group.initial.rebalance.delay.ms", "0");
		for (String topic : new String[] { "offsets.topic", "transaction.state.log",
				"share.coordinator.state.topic" }) {
			properties.setProperty(topic + ".replication.factor", "1");
		}
		properties.setProperty("transaction.state.log.min.isr", "1");
		properties.setProperty("share.coordinator.state.topic.min.isr", "1");
		return properties;
	}

	private static void format(Path directory, Properties properties) throws IOException {
		Path file = directory.resolve("server.properties");
		try (Writer writer = Files.newBufferedWriter(file)) {
			properties.store(writer, null);
		}
		ByteArrayOutputStream said = new ByteArrayOutputStream();
		int failed = StorageTool.execute(
				new String[] { "format", "--cluster-id", Uuid.randomUuid().toString(), "--config", file.toString() },
				new PrintStream(said, true, StandardCharsets.UTF_8));
		if (failed != 0) {
			throw new IllegalStateException(
					"The broker's storage could not be formatted: " + said.toString(StandardCharsets.UTF_8));
		}
	}

	private static ServerSocket listen(int port) throws IOException {
		try {
			return new ServerSocket(port);
		}
		catch (BindException ex) {
			throw new InvalidInputException("calm.demo.port", "is " + port + ", which is in use",
					"choose another, or 0 for any that is free");
		}
	}

	/**
	 * Where its clients find it.
	 * @return host and port
	 */
	public String address() {
		return this.address;
	}

	/** Stops it and deletes its data. */
	@Override
	public void close() throws IOException {
		this.server.shutdown();
		this.server.awaitShutdown();
		FileSystemUtils.deleteRecursively(this.directory);
	}

}

package io.calm.streaming.app;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.Uuid;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * A broker in a process of its own, from the artifact kafka_2.13: its storage is
 * formatted once, it may be killed and started again.
 */
final class BrokerProcess implements AutoCloseable {

	private final Path directory;

	private final int port;

	private final Map<String, Object> security;

	private JavaProcess process;

	private int starts;

	private BrokerProcess(Path directory, int port, Map<String, Object> security, JavaProcess process) {
		this.directory = directory;
		this.port = port;
		this.security = security;
		this.process = process;
	}

	static BrokerProcess start(Path directory) {
		return start(directory, "PLAINTEXT", "", Map.of());
	}

	/**
	 * A broker that asks who its clients are.
	 * @param protocol of its clients, such as {@code SASL_SSL}
	 * @param properties more of the broker's
	 * @param security properties of a client that is let in
	 */
	static BrokerProcess start(Path directory, String protocol, String properties, Map<String, Object> security) {
		int port;
		// two at once: asked for one after the other, they may be the same
		try (ServerSocket clients = new ServerSocket(0); ServerSocket controllers = new ServerSocket(0)) {
			port = clients.getLocalPort();
			Files.writeString(directory.resolve("server.properties"), """
					process.roles=broker,controller
					node.id=1
					controller.quorum.voters=1@localhost:%2$d
					controller.listener.names=CONTROLLER
					listeners=%4$s://localhost:%1$d,CONTROLLER://localhost:%2$d
					listener.security.protocol.map=CONTROLLER:PLAINTEXT,%4$s:%4$s
					inter.broker.listener.name=%4$s
					log.dirs=%3$s
					auto.create.topics.enable=false
					group.initial.rebalance.delay.ms=0
					offsets.topic.num.partitions=2
					offsets.topic.replication.factor=1
					transaction.state.log.num.partitions=2
					transaction.state.log.replication.factor=1
					transaction.state.log.min.isr=1
					share.coordinator.state.topic.num.partitions=2
					share.coordinator.state.topic.replication.factor=1
					share.coordinator.state.topic.min.isr=1
					""".formatted(port, controllers.getLocalPort(), directory.resolve("data"), protocol) + properties);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		JavaProcess format = JavaProcess.start(directory.resolve("format.txt"), "kafka.tools.StorageTool", "format",
				"--cluster-id", Uuid.randomUuid().toString(), "--config",
				directory.resolve("server.properties").toString());
		assertThat(format.awaitEnd()).as(format.output()).isZero();
		BrokerProcess broker = new BrokerProcess(directory, port, security, run(directory, 0));
		broker.awaitReady();
		return broker;
	}

	private static JavaProcess run(Path directory, int number) {
		return JavaProcess.start(directory.resolve("broker-" + number + ".txt"), "kafka.Kafka",
				directory.resolve("server.properties").toString());
	}

	private void awaitReady() {
		try (Admin admin = Admin.create(connection())) {
			await().atMost(JavaProcess.PATIENCE)
				.ignoreExceptions()
				.until(() -> !admin.describeCluster().nodes().get().isEmpty());
		}
	}

	String address() {
		return "localhost:" + this.port;
	}

	/** Properties for Kafka's clients. */
	Map<String, Object> connection() {
		Map<String, Object> connection = new HashMap<>(this.security);
		connection.put(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, address());
		return connection;
	}

	void createTopics(String prefix, int partitions) {
		try (Admin admin = Admin.create(connection())) {
			admin
				.createTopics(List.of("requests", "chunks", "control", "dead-letters")
					.stream()
					.map((name) -> new NewTopic(prefix + "." + name, partitions, (short) 1))
					.toList())
				.all()
				.get();
		}
		catch (InterruptedException | ExecutionException ex) {
			throw new IllegalStateException(ex);
		}
	}

	JavaProcess process() {
		return this.process;
	}

	Path data() {
		return this.directory.resolve("data");
	}

	void kill() {
		this.process.kill();
	}

	void startAgain() {
		this.process = run(this.directory, ++this.starts);
		awaitReady();
	}

	@Override
	public void close() {
		this.process.close();
	}

}

package io.calm.mlflow;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.URLConnection;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * A real MLflow server. As an extension it gives a test class the address of one that all
 * share: {@code CALM_TEST_MLFLOW_URI} if that is set, else one of its own, installed by
 * pip into the user's cache directory, which 'mvn clean' keeps. Without Python 3 the
 * tests are skipped. A test that takes the server itself may kill it, and has to start it
 * again.
 */
public final class MlflowServer implements ParameterResolver, AutoCloseable {

	static final String VERSION = "3.17.2";

	private final int port;

	private final Path directory;

	private final Map<String, String> environment;

	private final List<String> options;

	private @Nullable Process process;

	/** As an extension. */
	public MlflowServer() {
		this(0, Path.of(""), Map.of(), List.of());
	}

	private MlflowServer(int port, Path directory, Map<String, String> environment, List<String> options) {
		this.port = port;
		this.directory = directory;
		this.environment = environment;
		this.options = options;
	}

	/** A server of one's own, to be killed and restarted. */
	static MlflowServer start(Path directory, Map<String, String> environment, String... options) {
		try (ServerSocket socket = new ServerSocket(0)) {
			MlflowServer server = new MlflowServer(socket.getLocalPort(), directory, environment, List.of(options));
			socket.close();
			server.start();
			return server;
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	String uri() {
		return "http://127.0.0.1:" + this.port;
	}

	/** Also after {@link #kill}, with the data it had. */
	public void start() {
		try {
			List<String> command = new ArrayList<>(List.of(installed().resolve("bin/mlflow").toString(), "server",
					"--host", "127.0.0.1", "--port", String.valueOf(this.port), "--workers", "1", "--backend-store-uri",
					"sqlite:///" + this.directory.resolve("mlflow.db"), "--artifacts-destination",
					this.directory.resolve("artifacts").toString()));
			command.addAll(this.options);
			ProcessBuilder builder = new ProcessBuilder(command).directory(this.directory.toFile())
				.redirectErrorStream(true)
				.redirectOutput(ProcessBuilder.Redirect.appendTo(log()));
			builder.environment().put("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false");
			// a thread of it changes the environment while the server copies that, which
			// then
			// ends
			builder.environment().put("MLFLOW_DISABLE_TELEMETRY", "true");
			builder.environment().putAll(this.environment);
			Process started = builder.start();
			this.process = started;
			long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(15);
			while (!healthy()) {
				if (!started.isAlive() || System.nanoTime() > deadline) {
					throw new IllegalStateException("MLflow does not start: " + Files.readString(log().toPath()));
				}
				Thread.sleep(200);
			}
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		catch (InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

	private File log() {
		return this.directory.resolve("server.log").toFile();
	}

	private boolean healthy() {
		try {
			URLConnection connection = URI.create(uri() + "/health").toURL().openConnection();
			connection.setConnectTimeout(500);
			connection.setReadTimeout(5000);
			try (InputStream in = connection.getInputStream()) {
				return in.read() >= 0;
			}
		}
		catch (IOException ex) {
			return false;
		}
	}

	/** As a machine that fails: no call is answered to its end. */
	public void kill() {
		Process killed = this.process;
		if (killed == null) {
			return;
		}
		List<ProcessHandle> children = killed.descendants().toList();
		killed.destroyForcibly();
		children.forEach(ProcessHandle::destroyForcibly);
		killed.onExit().join();
		children.forEach((child) -> child.onExit().join());
	}

	boolean isAlive() {
		Process started = this.process;
		return started != null && started.isAlive();
	}

	/** Of the server and of those that work for it. */
	List<Long> pids() {
		Process started = this.process;
		return (started != null)
				? Stream.concat(Stream.of(started.toHandle()), started.descendants()).map(ProcessHandle::pid).toList()
				: List.of();
	}

	/** Where its data are. */
	Path database() {
		return this.directory.resolve("mlflow.db");
	}

	@Override
	public void close() {
		kill();
	}

	@Override
	public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
		Class<?> type = parameter.getParameter().getType();
		return type == URI.class || type == MlflowServer.class;
	}

	@Override
	public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
		boolean process = parameter.getParameter().getType() == MlflowServer.class;
		String given = System.getenv("CALM_TEST_MLFLOW_URI");
		if (given != null && !given.isBlank()) {
			Assumptions.assumeFalse(process, "the server of CALM_TEST_MLFLOW_URI is not ours to kill");
			return URI.create(given);
		}
		// the root's: one for all classes, closed after the last
		MlflowServer shared = context.getRoot()
			.getStore(ExtensionContext.Namespace.GLOBAL)
			.computeIfAbsent(MlflowServer.class, (type) -> {
				try {
					return start(Files.createTempDirectory(Path.of("target").toAbsolutePath(), "mlflow-server"),
							Map.of());
				}
				catch (IOException ex) {
					throw new UncheckedIOException(ex);
				}
			}, MlflowServer.class);
		return process ? shared : URI.create(shared.uri());
	}

	/** The virtual environment; made by the first who asks, while others wait. */
	private static Path installed() throws IOException, InterruptedException {
		return PythonEnvironment.of("mlflow-" + VERSION, "mlflow[auth]==" + VERSION);
	}

}

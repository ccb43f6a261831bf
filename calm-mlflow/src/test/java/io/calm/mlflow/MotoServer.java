package io.calm.mlflow;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/**
 * A server that speaks the protocol of S3, by the Python package moto.
 */
final class MotoServer implements AutoCloseable {

	private final Process process;

	private final int port;

	private MotoServer(Process process, int port) {
		this.process = process;
		this.port = port;
	}

	static MotoServer start(Path directory) throws IOException, InterruptedException {
		Path python = PythonEnvironment.of("moto-5.2.5-s3", "moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5");
		int port;
		try (ServerSocket socket = new ServerSocket(0)) {
			port = socket.getLocalPort();
		}
		Process process = new ProcessBuilder(python.resolve("bin/moto_server").toString(), "-H", "127.0.0.1", "-p",
				String.valueOf(port))
			.redirectErrorStream(true)
			.redirectOutput(directory.resolve("moto.log").toFile())
			.start();
		long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(2);
		while (!answers(port)) {
			if (!process.isAlive() || System.nanoTime() > deadline) {
				throw new IllegalStateException("moto does not start, see " + directory.resolve("moto.log"));
			}
			Thread.sleep(100);
		}
		return new MotoServer(process, port);
	}

	private static boolean answers(int port) {
		try (Socket socket = new Socket("127.0.0.1", port)) {
			return socket.isConnected();
		}
		catch (IOException ex) {
			return false;
		}
	}

	String uri() {
		return "http://127.0.0.1:" + this.port;
	}

	@Override
	public void close() {
		this.process.descendants().forEach(ProcessHandle::destroyForcibly);
		this.process.destroyForcibly().onExit().join();
	}

}

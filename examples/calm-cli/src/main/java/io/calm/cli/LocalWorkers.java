package io.calm.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import io.calm.cluster.Workers;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * Workers on this machine, a process each. The first one has this process's output; what
 * the others write stands on standard error, with their number before each line.
 */
final class LocalWorkers {

	/** What ends a training tells more than that others ended because of it. */
	private static final List<Integer> BY_IMPORTANCE = List.of(2, 1, 3);

	/** Says which GPUs a process has. */
	private static final String GPUS = "CUDA_VISIBLE_DEVICES";

	private LocalWorkers() {
	}

	/**
	 * Runs a command in each worker, until all have ended.
	 * @param count how many workers
	 * @param arguments of the command
	 * @param err takes what the others write
	 * @return the exit code of the worker that tells most
	 */
	static int run(int count, List<String> arguments, PrintWriter err) {
		List<String> addresses = freeAddresses(count);
		List<Process> processes = new ArrayList<>();
		Thread atExit = new Thread(() -> processes.forEach(Process::destroy));
		Runtime.getRuntime().addShutdownHook(atExit);
		try {
			for (int i = 0; i < count; i++) {
				processes.add(start(new Workers(addresses, i), arguments));
			}
			List<Thread> readers = new ArrayList<>();
			for (int i = 1; i < count; i++) {
				readers.add(read(processes.get(i), "[worker " + i + "] ", err));
			}
			List<Integer> codes = new ArrayList<>();
			for (Process process : processes) {
				codes.add(process.waitFor());
			}
			for (Thread reader : readers) {
				reader.join();
			}
			return BY_IMPORTANCE.stream().filter(codes::contains).findFirst().orElseGet(() -> worst(codes));
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			return 1;
		}
		finally {
			processes.forEach(Process::destroy);
			Runtime.getRuntime().removeShutdownHook(atExit);
		}
	}

	private static int worst(List<Integer> codes) {
		return codes.stream().mapToInt(Integer::intValue).max().orElse(0);
	}

	private static Process start(Workers workers, List<String> arguments) {
		List<String> command = new ArrayList<>();
		command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
		command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
		command.addAll(List.of("-cp", System.getProperty("java.class.path"), CalmCommand.class.getName()));
		command.addAll(arguments);
		ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
		if (!workers.isFirst()) {
			builder.redirectErrorStream(true).redirectOutput(Redirect.PIPE);
		}
		builder.environment().put(Workers.VARIABLE, workers.json());
		builder.environment().put(GPUS, gpu(System.getenv(GPUS), workers.index()));
		// they share the processors
		int threads = Math.max(1, Runtime.getRuntime().availableProcessors() / workers.count());
		builder.environment().putIfAbsent("TF_NUM_INTRAOP_THREADS", String.valueOf(threads));
		try {
			return builder.start();
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	/**
	 * Each has a GPU to itself, where there are as many.
	 * @param visible of this process, as a list; null for all
	 */
	static String gpu(@Nullable String visible, int worker) {
		if (visible == null) {
			return String.valueOf(worker);
		}
		String[] each = visible.split(",");
		return (worker < each.length) ? each[worker].strip() : "";
	}

	private static Thread read(Process process, String prefix, PrintWriter err) {
		Thread thread = new Thread(() -> {
			try (BufferedReader output = process.inputReader(StandardCharsets.UTF_8)) {
				output.lines().forEach((line) -> err.println(prefix + line));
			}
			catch (IOException | UncheckedIOException ex) {
				// the process has ended
			}
		}, prefix);
		thread.setDaemon(true);
		thread.start();
		return thread;
	}

	private static List<String> freeAddresses(int count) {
		List<ServerSocket> sockets = new ArrayList<>();
		try {
			for (int i = 0; i < count; i++) {
				sockets.add(new ServerSocket(0, 1, InetAddress.getLoopbackAddress()));
			}
			return sockets.stream().map((socket) -> "127.0.0.1:" + socket.getLocalPort()).toList();
		}
		catch (IOException ex) {
			throw new InvalidInputException("--workers", "finds no free ports on this machine (" + ex + ")",
					"try again, or choose fewer", ex);
		}
		finally {
			sockets.forEach(LocalWorkers::close);
		}
	}

	private static void close(ServerSocket socket) {
		try {
			socket.close();
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

}

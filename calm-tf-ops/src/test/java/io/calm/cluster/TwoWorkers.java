package io.calm.cluster;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Function;

import io.calm.graph.Device;
import io.calm.graph.Precision;

/** Two workers in one process, a thread each. */
public final class TwoWorkers {

	private TwoWorkers() {
	}

	/**
	 * Lets two workers do the same.
	 * @param first how the first one sends gradients
	 * @param second how the other one does
	 * @param action what each does
	 * @param <T> what comes out
	 * @return what has come out, of each
	 */
	public static <T> List<T> run(Precision first, Precision second, Function<Cluster, T> action) {
		List<String> addresses = addresses();
		CompletableFuture<T> one = start(new Workers(addresses, 0), first, action);
		CompletableFuture<T> other = start(new Workers(addresses, 1), second, action);
		try {
			return List.of(one.join(), other.join());
		}
		catch (CompletionException ex) {
			throw (ex.getCause() instanceof RuntimeException cause) ? cause : ex;
		}
	}

	private static <T> CompletableFuture<T> start(Workers workers, Precision precision, Function<Cluster, T> action) {
		CompletableFuture<T> result = new CompletableFuture<>();
		Thread thread = new Thread(() -> {
			try (Cluster cluster = Cluster.join(workers, Device.CPU, precision, Duration.ofMinutes(1),
					Duration.ofSeconds(20), result::completeExceptionally)) {
				T made = action.apply(cluster);
				cluster.leave();
				result.complete(made);
			}
			catch (RuntimeException | Error ex) {
				result.completeExceptionally(ex);
			}
		}, "worker-" + workers.index());
		thread.setDaemon(true);
		thread.start();
		return result;
	}

	static List<String> addresses() {
		try (ServerSocket one = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
				ServerSocket other = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
			return List.of("127.0.0.1:" + one.getLocalPort(), "127.0.0.1:" + other.getLocalPort());
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

}

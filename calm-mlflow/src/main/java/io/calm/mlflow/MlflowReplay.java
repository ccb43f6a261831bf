package io.calm.mlflow;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

import io.calm.input.InvalidInputException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends spools to a server, whichever: what was recorded without one, or while it was
 * away. Sending twice adds nothing.
 */
public final class MlflowReplay {

	private static final Logger LOG = LoggerFactory.getLogger(MlflowReplay.class);

	private static final int MOST_ATTEMPTS = 4;

	private static final long FIRST_PAUSE = 500;

	private MlflowReplay() {
	}

	/**
	 * What has been done.
	 *
	 * @param trainings that were sent
	 * @param busy trainings that were left alone because they are still being recorded
	 * @param points the server has accepted
	 * @param known points the server had already
	 * @param refused points and other records the server will never accept
	 */
	public record Result(int trainings, int busy, long points, long known, long refused) {
	}

	/**
	 * Sends all spools of a directory. They stay where they are; artifacts, which are
	 * large, are deleted once they are sent. What is no spool is left as it is.
	 * @param spool the directory, or the file of one training
	 * @param connection to the server
	 * @return what has been done
	 * @throws InvalidInputException if there is no such spool or the server does not take
	 * one; the others have been sent then, and sending again goes on where this has ended
	 */
	public static Result send(Path spool, MlflowConnection connection) {
		Result all = new Result(0, 0, 0, 0, 0);
		Map<Path, InvalidInputException> failures = new LinkedHashMap<>();
		MlflowApi api = new MlflowApi(connection);
		int attempts = MOST_ATTEMPTS;
		for (Path path : spools(spool)) {
			try {
				Optional<SpoolFile> opened = SpoolFile.open(path);
				if (opened.isEmpty()) {
					all = new Result(all.trainings, all.busy + 1, all.points, all.known, all.refused);
					continue;
				}
				try (SpoolFile file = opened.get()) {
					Delivery sent = new Delivery(api, file.files());
					send(file, sent, attempts);
					all = new Result(all.trainings + 1, all.busy, all.points + sent.delivered(),
							all.known + sent.known(), all.refused + sent.refused());
				}
			}
			catch (MlflowException ex) {
				failures.put(path, ex.toInvalidInput());
				if (ex.concernsEveryCall() || Thread.currentThread().isInterrupted()) {
					break;
				}
				// if the server is away, nobody wants to wait for each of them
				attempts = 1;
			}
			catch (IOException | RuntimeException ex) {
				failures.put(path, SpoolFile.unusable(path, ex));
			}
		}
		if (!failures.isEmpty()) {
			throw report(failures, all);
		}
		return all;
	}

	private static InvalidInputException report(Map<Path, InvalidInputException> failures, Result all) {
		Map.Entry<Path, InvalidInputException> first = failures.entrySet().iterator().next();
		InvalidInputException told = first.getValue();
		String more = (failures.size() > 1) ? ", and " + (failures.size() - 1) + " more could not be sent" : "";
		String others = (all.trainings > 0) ? " (trainings that were sent: " + all.trainings + ")" : "";
		if (more.isEmpty() && others.isEmpty()) {
			return told;
		}
		return new InvalidInputException(first.getKey().toString(),
				"could not be sent" + more + others + ": " + told.problem(), told.action(), told);
	}

	/** The spools to be sent; a mistyped name is no success. */
	private static List<Path> spools(Path spool) {
		if (!Files.exists(spool)) {
			throw new InvalidInputException(spool.toString(), "does not exist",
					"give the directory of the spool, which is mlflow-spool beside the model if it was not set");
		}
		if (!Files.isDirectory(spool)) {
			return List.of(spool);
		}
		try (Stream<Path> files = Files.list(spool)) {
			List<Path> spools = new ArrayList<>();
			for (Path path : SpoolFile.in(spool)) {
				if (mayBeSpool(path)) {
					spools.add(path);
				}
				else {
					LOG.warn("{} is no spool of a training: it is left as it is", path);
				}
			}
			// that of trainings which have all arrived is empty
			if (spools.isEmpty() && files.anyMatch((path) -> !path.toString().endsWith(".lock"))) {
				throw new InvalidInputException(spool.toString(), "holds no spool of a training",
						"give the directory mlflow-spool beside the model, or a file of it");
			}
			return spools;
		}
		catch (IOException ex) {
			throw SpoolFile.unusable(spool, ex);
		}
	}

	private static boolean mayBeSpool(Path path) {
		try {
			return SpoolFile.isSpool(path);
		}
		catch (IOException ex) {
			// told when it is opened, and no reason to leave out the others
			return true;
		}
	}

	private static void send(SpoolFile file, Delivery delivery, int attempts) throws IOException {
		SpoolFile.Reader reader = file.reader();
		List<SpoolEntry> chunk = new ArrayList<>();
		boolean more = true;
		while (more) {
			more = reader.next(chunk);
			for (int attempt = 1; !chunk.isEmpty(); attempt++) {
				try {
					delivery.send(chunk);
					chunk.clear();
				}
				catch (MlflowException ex) {
					if (attempt >= attempts || ex.needsSomebody()) {
						throw ex;
					}
					pause(ex, FIRST_PAUSE << attempt);
				}
			}
		}
	}

	private static void pause(MlflowException ex, long milliseconds) {
		Duration asked = ex.retryAfter();
		try {
			Thread.sleep((asked != null) ? Math.max(asked.toMillis(), milliseconds) : milliseconds);
		}
		catch (InterruptedException interruption) {
			Thread.currentThread().interrupt();
			throw ex;
		}
	}

}

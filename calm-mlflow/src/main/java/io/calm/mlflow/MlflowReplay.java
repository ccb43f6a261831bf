package io.calm.mlflow;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import io.calm.input.InvalidInputException;

/**
 * Sends spools to a server, whichever: what was recorded without one, or while it was
 * away. Sending twice adds nothing.
 */
public final class MlflowReplay {

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
	 * large, are deleted once they are sent.
	 * @param spool the directory, or the file of one training
	 * @param connection to the server
	 * @return what has been done
	 * @throws InvalidInputException if there is no such spool or the server does not take
	 * it; sending again goes on where this has ended
	 */
	public static Result send(Path spool, MlflowConnection connection) {
		if (!Files.exists(spool)) {
			throw new InvalidInputException(spool.toString(), "does not exist",
					"give the directory of the spool, which is mlflow-spool beside the model if it was not set");
		}
		Result all = new Result(0, 0, 0, 0, 0);
		try {
			for (Path path : Files.isDirectory(spool) ? SpoolFile.in(spool) : List.of(spool)) {
				Optional<SpoolFile> opened = SpoolFile.open(path);
				if (opened.isEmpty()) {
					all = new Result(all.trainings, all.busy + 1, all.points, all.known, all.refused);
				}
				else {
					try (SpoolFile file = opened.get()) {
						Delivery sent = new Delivery(new MlflowApi(connection), file.files());
						send(file, sent);
						all = new Result(all.trainings + 1, all.busy, all.points + sent.delivered(),
								all.known + sent.known(), all.refused + sent.refused());
					}
				}
			}
			return all;
		}
		catch (MlflowException ex) {
			throw ex.toInvalidInput();
		}
		catch (IOException | IllegalStateException ex) {
			throw SpoolFile.unusable(spool, ex);
		}
	}

	private static void send(SpoolFile file, Delivery delivery) throws IOException {
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
					// nobody mends credentials meanwhile
					if (attempt == MOST_ATTEMPTS || ex.status() == 401 || ex.status() == 403) {
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
			Thread.sleep((asked != null) ? Math.min(asked.toMillis(), 60_000) : milliseconds);
		}
		catch (InterruptedException interruption) {
			Thread.currentThread().interrupt();
			throw ex;
		}
	}

}

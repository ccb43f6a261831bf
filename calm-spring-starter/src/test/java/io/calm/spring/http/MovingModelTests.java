package io.calm.spring.http;

import java.net.http.HttpResponse;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

import io.calm.spring.MovingModel;
import io.calm.spring.TinyModel;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * The model of the service is exchanged while clients ask.
 */
class MovingModelTests {

	private static final int MOVES = 20;

	private static String version(HttpResponse<String> response) {
		return response.headers().firstValue("Calm-Model-Version").orElse("none");
	}

	@Test
	void noRequestFailsWhileTheVersionMoves() throws Exception {
		try (RunningService service = RunningService.start("--calm.model.location=" + MovingModel.LOCATION,
				"--calm.model.watch=10ms", "--calm.generation.max-new-tokens=8")) {
			AtomicBoolean over = new AtomicBoolean();
			AtomicInteger answers = new AtomicInteger();
			Set<String> versions = new ConcurrentSkipListSet<>();
			Callable<String> client = () -> {
				while (!over.get()) {
					boolean stream = answers.incrementAndGet() % 2 == 0;
					HttpResponse<String> response = service.post("/v1/completions",
							"{\"prompt\":\"Two\",\"stream\":" + stream + "}");
					assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
					Stream<JsonNode> said = stream ? RunningService.events(response).stream()
							: Stream.of(RunningService.json(response));
					assertThat(said).allSatisfy((each) -> assertThat(each.path("system_fingerprint").stringValue())
						.isEqualTo(version(response)));
					versions.add(version(response));
				}
				return "";
			};
			ExecutorService clients = Executors.newFixedThreadPool(3);
			try {
				List<Future<String>> asking = Stream.generate(() -> clients.submit(client)).limit(3).toList();
				for (int move = 2; move <= MOVES + 1; move++) {
					String next = Integer.toString(move);
					service.bean(MovingModel.class).moveTo(next, TinyModel.directory());
					await().until(() -> versions.contains(next) || asking.stream().anyMatch(Future::isDone));
				}
				over.set(true);
				for (Future<String> each : asking) {
					assertThat(each.get()).isEmpty();
				}
			}
			finally {
				over.set(true);
				clients.shutdown();
			}
			assertThat(versions).hasSize(MOVES + 1);
			await().until(() -> Objects.requireNonNull(service.model().status()).draining() == 0);
		}
	}

}

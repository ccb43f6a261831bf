package io.calm.mlflow;

import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

import io.calm.mlflow.StubServer.Answer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mlflow.api.proto.Service.CreateRun;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * Answers that are none: redirections, and servers that ask for time.
 */
class MlflowApiTest {

	private final StubServer first = new StubServer();

	private final StubServer second = new StubServer();

	MlflowApiTest() throws IOException {
	}

	@AfterEach
	void closeServers() {
		this.first.close();
		this.second.close();
	}

	private MlflowApi api() {
		return new MlflowApi(MlflowConnection.of((to) -> to.trackingUri(this.first.uri() + "/team").token("t0ken")));
	}

	@ParameterizedTest
	@ValueSource(ints = { 301, 302, 303, 307, 308 })
	void redirectionIsOneClearLineAndCarriesNothing(int status) {
		this.first.special = (call) -> Optional
			.of(Answer.redirect(status, this.second.uri() + "/other" + call.path().substring("/team".length())));
		assertThatExceptionOfType(MlflowException.class)
			.isThrownBy(() -> api().post("runs/create", CreateRun.newBuilder(), CreateRun.Response.newBuilder()))
			.satisfies((ex) -> {
				assertThat(ex.refused()).isFalse();
				assertThat(ex.toInvalidInput()).message()
					.contains(this.first.uri() + "/team: answers " + status + ": it redirects to " + this.second.uri()
							+ "/other; give the address")
					.hasLineCount(1);
			});
		assertThatExceptionOfType(MlflowException.class).isThrownBy(() -> api().experiment("7", ""))
			.withMessageContaining(this.second.uri());
		assertThat(this.first.calls()).hasSize(2);
		assertThat(this.second.calls()).isEmpty();
	}

	@ParameterizedTest
	@ValueSource(strings = { "http://joe:s3cret@login/?token=s3cret", "not an address s3cret", "/login?s3cret#s3cret" })
	void redirectionShowsNoSecret(String location) {
		this.first.special = (call) -> Optional.of(Answer.redirect(302, location));
		assertThatExceptionOfType(MlflowException.class).isThrownBy(() -> api().experiment("7", ""))
			.withMessageContaining("answers 302: it redirects to ")
			.withMessageNotContaining("s3cret");
	}

	@Test
	void redirectionToNowhere() {
		this.first.special = (call) -> Optional.of(new Answer(304, "", Map.of()));
		assertThatExceptionOfType(MlflowException.class).isThrownBy(() -> api().experiment("7", ""))
			.withMessageContaining("nowhere");
	}

	@Test
	void nobodyWaitsForDays() {
		this.first.special = (call) -> Optional.of(new Answer(503, "", Map.of("Retry-After", "999999")));
		assertThatExceptionOfType(MlflowException.class).isThrownBy(() -> api().experiment("7", ""))
			.satisfies((ex) -> assertThat(ex.retryAfter()).isEqualTo(Duration.ofMinutes(1)));
	}

}

package io.calm.examples.pipeline;

import java.util.ArrayList;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;

import org.springframework.http.codec.ServerSentEvent;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * What arrives for pages that read, and for those that do not.
 */
class StoriesTests {

	@Test
	void aPageThatDoesNotReadKeepsNothing() {
		Stories stories = new Stories();
		List<String> shown = new ArrayList<>();
		BaseSubscriber<ServerSentEvent<String>> page = new BaseSubscriber<>() {

			@Override
			protected void hookOnSubscribe(Subscription subscription) {
				// nothing is asked for
			}

			@Override
			protected void hookOnNext(ServerSentEvent<String> event) {
				if ("story".equals(event.event())) {
					shown.add(String.valueOf(event.data()));
				}
			}

		};
		stories.stories().subscribe(page);
		for (int i = 1; i <= 5000; i++) {
			stories.arrived("story " + i);
		}
		page.request(10_000);
		page.cancel();
		assertThat(shown).hasSizeLessThan(500).endsWith("story 5000");
	}

}

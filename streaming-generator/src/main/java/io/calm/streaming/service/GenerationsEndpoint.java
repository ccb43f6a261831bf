package io.calm.streaming.service;

import java.time.Duration;
import java.util.List;

import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.actuate.endpoint.annotation.ReadOperation;

/**
 * {@code /actuator/generations}: the requests in flight, the oldest first, without
 * prompts and texts.
 */
@Endpoint(id = "generations")
final class GenerationsEndpoint {

	private final StreamingService service;

	GenerationsEndpoint(StreamingService service) {
		this.service = service;
	}

	@ReadOperation
	InFlight generations() {
		return new InFlight(this.service.inFlight()
			.stream()
			.map((each) -> new Entry(each.id(), each.attempt(), Outgoing.place(each.request()),
					this.service.generations().age(each), each.chunks(), each.tokens()))
			.toList());
	}

	record InFlight(List<Entry> generations) {
	}

	/**
	 * A request in flight.
	 *
	 * @param requestId its name
	 * @param attempt the number of the attempt
	 * @param record topic, partition and offset
	 * @param age since it was taken up
	 * @param chunks so far
	 * @param tokens so far
	 */
	record Entry(String requestId, long attempt, String record, Duration age, int chunks, int tokens) {
	}

}

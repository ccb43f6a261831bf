package io.calm.streaming.service;

import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.stream.StreamSupport;

import io.calm.spring.TextGenerator;
import io.calm.streaming.FailureReason;
import io.calm.streaming.InvalidMessageException;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;

import org.springframework.kafka.support.KafkaHeaders;

/**
 * The requests that are in flight here, by their ids, and the cancellations that came
 * before theirs.
 */
final class Generations {

	/** At a request, before its caller is told that there is no text. */
	static final int ATTEMPTS = 5;

	private static final long REMEMBERED_BYTES = 16 << 20;

	private static final RequestObservationConvention DEFAULT_CONVENTION = new RequestObservationConvention() {
	};

	private final TextGenerator generator;

	private final Admission admission;

	private final Outgoing outgoing;

	private final StreamingProperties properties;

	private final ObservationRegistry observations;

	private final @Nullable RequestObservationConvention convention;

	private final Clock clock;

	/** Whether the model could generate the next text. */
	private final BooleanSupplier usable;

	/** Of those that are in flight; guards itself. */
	private final Map<String, List<Generation>> inFlight = new LinkedHashMap<>();

	private final Cancellations cancelled;

	Generations(TextGenerator generator, Admission admission, Outgoing outgoing, StreamingProperties properties,
			ObservationRegistry observations, @Nullable RequestObservationConvention convention, Clock clock,
			BooleanSupplier usable) {
		this.generator = generator;
		this.admission = admission;
		this.outgoing = outgoing;
		this.properties = properties;
		this.observations = observations;
		this.convention = convention;
		this.clock = clock;
		this.usable = usable;
		this.cancelled = new Cancellations(properties.cancelMemory(), REMEMBERED_BYTES, clock);
	}

	/**
	 * Begins an attempt at a request, or joins it to the one that is in flight, if that
	 * is the same request: then only one of them is answered.
	 * @param attempt greater than that of every attempt before
	 * @param streaming whether chunks are sent as they come
	 */
	Generation begin(ConsumerRecord<byte[], byte[]> request, long attempt, boolean streaming) {
		String id;
		try {
			id = Admission.id(request, this.properties.limits());
		}
		catch (InvalidMessageException ex) {
			Generation nameless = generation(request, Outgoing.place(request), attempt, streaming);
			nameless.refuse(ex.reason(), String.valueOf(ex.getMessage()));
			return nameless;
		}
		synchronized (this.inFlight) {
			List<Generation> others = this.inFlight.getOrDefault(id, List.of());
			for (Generation other : others) {
				if (isSame(other.request(), request)) {
					return joined(other, request, id, attempt, streaming);
				}
			}
			if (others.size() >= this.properties.limits().requestsPerKey()) {
				// number 0: whoever reads the other one's chunks is not concerned
				Generation refused = generation(request, id, 0, streaming);
				refused.refuse(FailureReason.TOO_MANY_REQUESTS, "another request with the same key has not ended");
				return refused;
			}
			Generation begun = generation(request, id, attempt, streaming);
			this.inFlight.merge(id, List.of(begun), Generations::concat);
			begun.conclusion().whenComplete((records, failure) -> remove(begun));
			if (this.cancelled.contains(id)) {
				begun.cancel();
			}
			begun.start(this.admission, this.generator);
			return begun;
		}
	}

	/** Refuses a request whose attempts have all failed. */
	Generation refuse(ConsumerRecord<byte[], byte[]> request, long attempt, Throwable failure) {
		return (failure instanceof Error)
				? refuse(request, attempt, FailureReason.MODEL_FAILED, "every attempt ended with an error")
				: refuse(request, attempt, FailureReason.NOT_DELIVERED,
						"the chunks could not be written in " + ATTEMPTS + " attempts");
	}

	/** Refuses a request that must not be attempted again. */
	Generation refuse(ConsumerRecord<byte[], byte[]> request, long attempt, FailureReason reason, String message) {
		String id;
		try {
			id = Admission.id(request, this.properties.limits());
		}
		catch (InvalidMessageException ex) {
			id = Outgoing.place(request);
		}
		Generation refused = generation(request, id, attempt, true);
		refused.refuse(reason, message);
		return refused;
	}

	private Generation joined(Generation other, ConsumerRecord<byte[], byte[]> request, String id, long attempt,
			boolean streaming) {
		Generation joined = generation(request, id, attempt, streaming);
		other.conclusion().whenComplete((records, failure) -> {
			if (failure instanceof CancellationException) {
				// its partition has moved; that of this one may not have
				joined.conclusion().completeExceptionally(new EngineUnavailableException(failure));
			}
			else if (failure != null) {
				joined.conclusion().completeExceptionally(failure);
			}
			else {
				joined.conclusion().complete(List.of());
			}
		});
		return joined;
	}

	private Generation generation(ConsumerRecord<byte[], byte[]> request, String id, long attempt, boolean streaming) {
		RequestObservationContext seen = new RequestObservationContext(request, this.properties.group());
		Observation observation = Observation.createNotStarted(this.convention, DEFAULT_CONVENTION, () -> seen,
				this.observations);
		return new Generation(request, id, attempt, streaming, this.outgoing, this.usable, observation, seen);
	}

	/** Whether a caller, or his producer, has sent a request twice. */
	private static boolean isSame(ConsumerRecord<byte[], byte[]> one, ConsumerRecord<byte[], byte[]> other) {
		return Arrays.equals(one.value(), other.value()) && asked(one).equals(asked(other));
	}

	/** Not the correlation, which says who waits and not for what. */
	private static List<Header> asked(ConsumerRecord<byte[], byte[]> request) {
		return StreamSupport.stream(request.headers().spliterator(), false)
			.filter((header) -> !header.key().equals(KafkaHeaders.CORRELATION_ID))
			.toList();
	}

	private static List<Generation> concat(List<Generation> some, List<Generation> more) {
		List<Generation> all = new ArrayList<>(some);
		all.addAll(more);
		return List.copyOf(all);
	}

	private void remove(Generation ended) {
		synchronized (this.inFlight) {
			this.inFlight.computeIfPresent(ended.id(), (id, generations) -> {
				List<Generation> others = generations.stream().filter((each) -> each != ended).toList();
				return others.isEmpty() ? null : others;
			});
		}
	}

	/** Ends the text of a request, or keeps it from beginning. */
	void cancel(String id) {
		if (id.getBytes(StandardCharsets.UTF_8).length > this.properties.limits().key().toBytes()) {
			// no request that is taken up has such a name
			return;
		}
		List<Generation> begun;
		synchronized (this.inFlight) {
			this.cancelled.add(id);
			begun = this.inFlight.getOrDefault(id, List.of());
		}
		begun.forEach(Generation::cancel);
	}

	Cancellations cancelled() {
		return this.cancelled;
	}

	/** All that is in flight, the oldest first. */
	List<Generation> inFlight() {
		synchronized (this.inFlight) {
			return this.inFlight.values().stream().flatMap(Collection::stream).toList();
		}
	}

	Duration age(Generation generation) {
		return Duration.between(generation.since(), this.clock.instant());
	}

}

package io.calm.streaming.service;

import java.time.Duration;
import java.util.Set;

import jakarta.validation.Valid;
import jakarta.validation.constraints.DecimalMax;
import jakarta.validation.constraints.DecimalMin;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotBlank;
import org.jspecify.annotations.Nullable;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;
import org.springframework.validation.annotation.Validated;

/**
 * The properties {@code calm.streaming.*}. Brokers, TLS and SASL are those of
 * {@code spring.kafka.*}.
 *
 * @param enabled Whether the application takes requests up. One that only has the client
 * switches it off.
 * @param mode How requests are taken up and texts delivered.
 * @param group Consumer group of the services, who share the requests.
 * @param topics Names of the topics, and how they are created.
 * @param replyTopics Topics that a request may choose for its chunks, beside the usual
 * one.
 * @param ahead Requests taken up beyond the slots of the engine, so that a slot that
 * becomes free has work at once.
 * @param shutdownGrace How long texts may continue when the application ends; those that
 * have not ended by then are left to another service.
 * @param cancelMemory How long a cancellation is remembered, for requests that have not
 * been taken up yet.
 * @param cloudEvents Whether chunks and dead letters have the headers of CloudEvents'
 * binary mode also where the request has none.
 * @param limits What requests may ask for.
 * @param share How the mode share-group works.
 * @param client What the client does.
 */
@Validated
@ConfigurationProperties("calm.streaming")
public record StreamingProperties(@DefaultValue("true") boolean enabled, @DefaultValue("stream") Mode mode,
		@NotBlank @DefaultValue("calm-generators") String group, @Valid @DefaultValue Topics topics,
		@DefaultValue Set<String> replyTopics, @Min(0) @DefaultValue("2") int ahead,
		@DefaultValue("20s") Duration shutdownGrace, @DefaultValue("10m") Duration cancelMemory,
		@DefaultValue("false") boolean cloudEvents, @Valid @DefaultValue Limits limits,
		@Valid @DefaultValue Share share, @Valid @DefaultValue Client client) {

	/** How requests are taken up and texts delivered. */
	public enum Mode {

		/** Chunk by chunk, at least once. */
		STREAM,
		/** The finished text only, exactly once. */
		RESULTS,
		/**
		 * Chunk by chunk, at least once, out of a share group: more services than
		 * partitions.
		 */
		SHARE_GROUP

	}

	/**
	 * Names of the topics, and how they are created.
	 *
	 * @param requests Topic of the requests.
	 * @param chunks Topic of the chunks, where a request chooses no other one.
	 * @param control Topic of the cancellations, which every service reads.
	 * @param deadLetters Topic of the requests that were refused or failed.
	 * @param create Whether topics that do not exist are created.
	 * @param partitions Partitions of topics that are created.
	 * @param replicas Copies of topics that are created; -1 is the brokers' default.
	 */
	public record Topics(@NotBlank @DefaultValue("calm.requests") String requests,
			@NotBlank @DefaultValue("calm.chunks") String chunks,
			@NotBlank @DefaultValue("calm.control") String control,
			@NotBlank @DefaultValue("calm.dead-letters") String deadLetters, @DefaultValue("true") boolean create,
			@Min(1) @DefaultValue("6") int partitions, @Min(-1) @DefaultValue("-1") int replicas) {
	}

	/**
	 * What requests may ask for.
	 *
	 * @param payload Largest value of a request's record.
	 * @param key Largest key of a request's record, which is the id of the request and
	 * comes back with every chunk.
	 * @param header Largest of the headers that come back with every chunk, name and
	 * value.
	 * @param headers Largest size of all headers of a request's record together.
	 * @param promptTokens Longest prompt in tokens. By default, what the model's context
	 * holds.
	 * @param maxNewTokens Most tokens of a text.
	 * @param candidates Most draws of the batch sampler, N.
	 * @param minTemperature Lowest temperature.
	 * @param stopStrings Most stop strings.
	 * @param stopLength Longest stop string, in characters.
	 * @param deadline Longest time from the request to its end, whatever the request
	 * says. By default, for ever.
	 * @param requestsPerKey Requests with the same key that may be in flight in a service
	 * at once. The same request twice is one.
	 */
	public record Limits(@DefaultValue("1MB") DataSize payload, @DefaultValue("1KB") DataSize key,
			@DefaultValue("8KB") DataSize header, @DefaultValue("16KB") DataSize headers,
			@Min(1) @Nullable Integer promptTokens, @Min(1) @DefaultValue("4096") int maxNewTokens,
			@Min(1) @DefaultValue("1000") int candidates,
			@DecimalMin("0") @DecimalMax("1") @DefaultValue("0.05") double minTemperature,
			@Min(0) @DefaultValue("16") int stopStrings, @Min(1) @DefaultValue("1000") int stopLength,
			@Nullable Duration deadline, @Min(1) @DefaultValue("1") int requestsPerKey) {
	}

	/**
	 * How the mode share-group works.
	 *
	 * @param deliveries How often the brokers deliver a request before they archive it,
	 * as their group.share.delivery.count.limit says. The last delivery goes to the dead
	 * letters.
	 */
	public record Share(@Min(2) @DefaultValue("5") int deliveries) {
	}

	/**
	 * What the client does.
	 *
	 * @param timeout Longest time from a request to its end.
	 * @param replyTopic Topic that the client asks for its chunks. By default, the usual
	 * one.
	 */
	public record Client(@DefaultValue("5m") Duration timeout, @Nullable String replyTopic) {
	}

}

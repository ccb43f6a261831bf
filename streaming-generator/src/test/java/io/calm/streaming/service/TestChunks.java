package io.calm.streaming.service;

import io.calm.streaming.TestBroker;
import io.calm.streaming.TextChunk;

/**
 * Waits for chunks in the topic.
 */
final class TestChunks {

	private TestChunks() {
	}

	static void awaitSeq(ServiceUnderTest service, String id, int seq) {
		TestBroker.read(service.prefix() + ".chunks", (all) -> all.stream().anyMatch((record) -> {
			TextChunk chunk = ServiceUnderTest.FORMAT.readChunk(record.value());
			return chunk.requestId().equals(id) && chunk.seq() == seq;
		}));
	}

	static void awaitCount(ServiceUnderTest service, String id, int count) {
		TestBroker.read(service.prefix() + ".chunks",
				(all) -> all.stream()
					.filter((record) -> ServiceUnderTest.FORMAT.readChunk(record.value()).requestId().equals(id))
					.count() >= count);
	}

}

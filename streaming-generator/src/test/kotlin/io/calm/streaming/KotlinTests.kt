package io.calm.streaming

import io.calm.streaming.client.CalmKafkaClient
import io.calm.streaming.client.ChunkFilter
import org.assertj.core.api.Assertions.assertThat
import org.junit.jupiter.api.Test
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.reactive.asFlow
import java.time.Duration

/** The API as it looks from Kotlin. That it compiles, warnings being errors, is half of the test. */
class KotlinTests {

	@Test
	fun clientIsMadeAndAsked() {
		CalmKafkaClient.create(mapOf("bootstrap.servers" to "localhost:1")) { it.timeout(Duration.ofSeconds(1)) }.use { client ->
			val texts: Flow<String> = client.stream("Two") { it.maxNewTokens(8).temperature(0.5) }.asFlow().map { it.text }
			assertThat(texts).isNotNull()
		}
	}

	@Test
	fun whatMayBeMissingIsNullable() {
		val chunk = TextChunk("a", 1, 0, "Two", 1, null)
		val status: TextChunk.Status? = chunk.end?.status
		assertThat(status).isNull()
		assertThat(ChunkFilter().accept(chunk).map { it.text }).containsExactly("Two")
	}

}

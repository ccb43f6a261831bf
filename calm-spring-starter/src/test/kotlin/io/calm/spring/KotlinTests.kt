package io.calm.spring

import io.calm.generation.Chunk
import io.calm.generation.FinishReason
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.reactive.asFlow
import kotlinx.coroutines.runBlocking
import org.assertj.core.api.Assertions.assertThat
import org.junit.jupiter.api.Test

/** The API as it looks from Kotlin. That it compiles, warnings being errors, is half of the test. */
class KotlinTests {

	private val generator: TextGenerator = FixedText("one", " two", " three")

	@Test
	fun chunksAreAFlow() = runBlocking<Unit> {
		val chunks: List<Chunk> = generator.stream("Two") { it.maxNewTokens(8).temperature(0.5) }.asFlow().toList()
		val reason: FinishReason? = chunks.last().finishReason
		assertThat(chunks.joinToString("") { it.text }).isEqualTo("one two three")
		assertThat(reason).isEqualTo(FinishReason.END)
	}

	@Test
	fun flowMayEndEarly() = runBlocking<Unit> {
		assertThat(generator.stream("Two").asFlow().map { it.text.length }.take(2).toList()).containsExactly(3, 4)
	}

	@Test
	fun whatIsAlwaysThereIsNotNullable() {
		val text: String = generator.generate("Two")
		assertThat(text.length).isEqualTo("one two three".length)
		val status = ModelStatus(ModelStatus.State.WAITING, "fish", null, null, null, null, 0, null)
		assertThat(status.lastError?.message).isNull()
		val resolver = ModelResolver { location -> if (location == "a") TinyModel.directory() else null }
		assertThat(resolver.resolve("b")).isNull()
	}

}

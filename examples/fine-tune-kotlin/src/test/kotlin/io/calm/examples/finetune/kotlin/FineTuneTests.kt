package io.calm.examples.finetune.kotlin

import io.calm.Calm
import io.calm.examples.quickstart.StoryCorpus
import io.calm.graph.ProgramOptions
import io.calm.mlflow.MlflowConnection
import io.calm.mlflow.MlflowRegistry
import io.calm.mlflow.MlflowServer
import io.calm.text.Corpus
import io.calm.text.Tokenizer
import java.io.ByteArrayOutputStream
import java.io.PrintStream
import java.net.URI
import java.nio.file.Path
import java.util.UUID
import org.assertj.core.api.Assertions.assertThat
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestInstance
import org.junit.jupiter.api.extension.ExtendWith
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.CsvSource
import org.mlflow.tracking.MlflowClient

@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class FineTuneTests {

    private lateinit var base: Path

    @BeforeAll
    fun trainBase(@TempDir directory: Path) {
        base = directory.resolve("base")
        val stories = directory.resolve("stories.jsonl")
        StoryCorpus.write(stories, 200_000, 1)
        Tokenizer.train(Corpus.of(stories), 400).use { tokenizer ->
            Calm.train { training ->
                training.corpus(stories)
                    .tokenizer(tokenizer)
                    .autoencoder(
                        { it.hiddenSize(64).intermediateSize(128).latentSize(32) },
                        { it.steps(200).batch(8).patches(32).learningRate(3e-3).warmup(10) },
                    )
                    .languageModel(
                        "nano",
                        { it.hiddenSize(64).layers(1).heads(2).noiseSize(16).samples(4).targets(8) },
                        { it.steps(50).batch(8).patches(32).learningRate(3e-3).warmup(10) },
                    )
                    .program(ProgramOptions.DEFAULT)
                    .output(base)
            }.close()
        }
    }

    /** What the program returns, and what it prints on standard output and standard error. */
    private data class Outcome(val code: Int, val out: String, val err: String)

    private fun run(output: Path, vararg args: String): Outcome {
        val (out, err) = System.out to System.err
        val (printed, complained) = ByteArrayOutputStream() to ByteArrayOutputStream()
        System.setOut(PrintStream(printed, true, Charsets.UTF_8))
        System.setErr(PrintStream(complained, true, Charsets.UTF_8))
        try {
            val given = args.map { it.substringBefore('=') }
            val usual = listOf("--base=$base", "--output=$output", "--no-fusion", "--patches=32")
                .filter { it.substringBefore('=') !in given }
            val code = fineTune(*usual.toTypedArray(), *args)
            return Outcome(code, printed.toString(Charsets.UTF_8), complained.toString(Charsets.UTF_8))
        } finally {
            System.setOut(out)
            System.setErr(err)
        }
    }

    @Test
    @ExtendWith(MlflowServer::class)
    fun `improves on the new domain and is tracked`(server: URI, @TempDir directory: Path) {
        val name = "kotlin-${UUID.randomUUID()}"
        val outcome = run(directory.resolve("tuned"), "--autoencoder-steps=300", "--steps=150", "--learning-rate=0.003",
            "--evaluate-every=50", "--prompt=Hello", "--mlflow=$server", "--experiment=$name", "--register-as=$name")
        assertThat(outcome.code).isZero()
        assertThat(outcome.out).contains("> Hello", "the best so far").doesNotContain("> Support")
        val (gain, error) = Regex("Brier-1 .* after: ([+-][\\d.]+) ± ([\\d.]+)").find(outcome.out)!!.destructured
        assertThat(gain.toDouble()).isGreaterThan(4 * error.toDouble())

        val version = MlflowRegistry.of(MlflowConnection.to(server.toString())).find("models:/$name/1")
        val experiment = MlflowClient(server.toString()).getExperimentByName(name).orElseThrow().experimentId
        assertThat(MlflowClient(server.toString()).getRun(version.runId()).info.experimentId).isEqualTo(experiment)
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = [
        "--base=nowhere        | nowhere:",
        "--steps=0             | training, steps is 0",
        "--steps=many          | Invalid value for option '--steps': 'many' is not a long",
        "--corpus=some.txt     | --corpus and --held-out: only one of them is given",
        "--register-as=tickets | --register-as is given, but there is no MLflow server",
        "--output=.            | --output . exists already",
    ])
    fun `bad input is explained in one line`(argument: String, message: String, @TempDir directory: Path) {
        val output = directory.resolve("tuned")
        val outcome = run(output, argument)
        assertThat(outcome.code).isEqualTo(2)
        assertThat(outcome.err.lines().filter(String::isNotEmpty)).singleElement().asString()
            .startsWith("fine-tune: ").contains(message)
        assertThat(output).doesNotExist()
    }
}

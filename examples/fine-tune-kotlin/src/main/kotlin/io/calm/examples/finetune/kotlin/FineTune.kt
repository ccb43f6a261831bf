package io.calm.examples.finetune.kotlin

import io.calm.Calm
import io.calm.evaluation.AutoencoderScoring
import io.calm.evaluation.BrierScore
import io.calm.evaluation.BrierScoring
import io.calm.evaluation.ExactMatchScoring
import io.calm.examples.quickstart.TicketCorpus
import io.calm.generation.GenerationEngine
import io.calm.graph.ProgramOptions
import io.calm.input.InvalidInputException
import io.calm.mlflow.MlflowConnection
import io.calm.mlflow.MlflowListener
import io.calm.mlflow.MlflowRegistry
import io.calm.text.Corpus
import io.calm.text.TokenStore
import io.calm.text.Tokenizer
import io.calm.training.Phase
import io.calm.training.TrainingListener
import java.nio.file.Path
import java.util.Locale
import java.util.concurrent.Callable
import kotlin.io.path.absolute
import kotlin.io.path.createParentDirectories
import kotlin.io.path.exists
import kotlin.io.path.name
import kotlin.math.hypot
import kotlin.system.exitProcess
import picocli.CommandLine
import picocli.CommandLine.Command
import picocli.CommandLine.Option

private const val TICKET_BYTES = 1L shl 20
private const val HELD_OUT_BYTES = 1L shl 16

private const val TICKETS = 4_000
private const val HELD_OUT_TICKETS = 300

/** Prompts that base and result answer. */
private const val ANSWERED = 200L

/** Blocks scored side by side. */
private const val SCORED_TOGETHER = 2

/** Trains a finished model on with one's own text. */
@Command(
    name = "fine-tune",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    description = ["Trains a finished model on with your text, or with generated support tickets."],
)
class FineTune : Callable<Int> {

    @Option(names = ["--base"], paramLabel = "DIR", description = ["The model to begin with."])
    private var base = Path.of("quickstart-model")

    @Option(names = ["--corpus"], arity = "1..*", paramLabel = "PATH",
        description = ["Text: .txt, .jsonl, both also as .gz or .zst, .parquet, or directories of them."])
    private var corpus = listOf<Path>()

    @Option(names = ["--categories"],
        description = ["The generated tickets are prompts whose answers are their categories."])
    private var categories = false

    @Option(names = ["--held-out"], arity = "1..*", paramLabel = "PATH",
        description = ["Text of the same kind that is not trained on, to score the models on."])
    private var heldOut = listOf<Path>()

    @Option(names = ["--output"], paramLabel = "DIR", description = ["The model directory to write."])
    private var output = Path.of("fine-tuned-model")

    @Option(names = ["--autoencoder-steps"], description = ["0 leaves the autoencoder as it is."])
    private var autoencoderSteps = 500L

    @Option(names = ["--steps"], description = ["Of the language model, unless it stops early."])
    private var steps = 1000L

    @Option(names = ["--learning-rate"], description = ["The greatest."])
    private var learningRate = 1e-3

    @Option(names = ["--batch"], description = ["Sequences per step."])
    private var batch = 8

    @Option(names = ["--patches"], description = ["Patches per sequence."])
    private var patches = 64

    @Option(names = ["--evaluate-every"], description = ["Steps between evaluations."])
    private var evaluateEvery = 100L

    @Option(names = ["--patience"], description = ["Evaluations without a better BrierLM after which it stops."])
    private var patience = 3

    @Option(names = ["--seed"], description = ["Of everything random."])
    private var seed = 1L

    @Option(names = ["--prompt"], description = ["Beginnings that base and result go on with."])
    private var prompts = listOf("Hello, I bought a Norvik printer", "Support: Thank you for your message.")

    @Option(names = ["--fusion"], negatable = true, defaultValue = "true", fallbackValue = "true",
        description = ["Whether XLA compiles the element-wise work."])
    private var fusion = true

    @Option(names = ["--mlflow"], paramLabel = "URI", description = ["Follow the training on this MLflow server."])
    private var mlflow: String? = null

    @Option(names = ["--experiment"], paramLabel = "NAME", description = ["The experiment in MLflow."])
    private var experiment = "fine-tune"

    @Option(names = ["--register-as"], paramLabel = "NAME", description = ["Register the result in MLflow."])
    private var registerAs: String? = null

    private val program by lazy { ProgramOptions.DEFAULT.withFusion(fusion) }

    override fun call(): Int {
        refuseEarly()
        val (text, unseen) = texts()
        val tracking = mlflow?.let { uri -> MlflowListener.of { it.trackingUri(uri).experiment(experiment) } }
        Tokenizer.load(base).use { tokenizer ->
            TokenStore.of(unseen, tokenizer).use { held ->
                println("Before: $base")
                val before = score(base, held)
                fun show(model: GenerationEngine) = if (held.given(0) > 0) answer(model, unseen) else write(model)
                Calm.open(base).use(::show)

                println("\nTraining on")
                val tuned = tracking.use { train(text, unseen, it) }

                println("\nAfter: $output")
                val after = score(output, held)
                tuned.use(::show)
                println()
                compare("BrierLM", before.brierLm(), before.error(), after.brierLm(), after.error())
                compare("100 Brier-1", 100 * before.brier()[0], 100 * before.brierErrors()[0],
                    100 * after.brier()[0], 100 * after.brierErrors()[0])
                register(after, tracking)
            }
        }
        return 0
    }

    private fun train(text: Corpus, unseen: Corpus, tracking: MlflowListener?): GenerationEngine = Calm.train { training ->
        training.base(base).corpus(text).evaluation(unseen).output(output).program(program).listener(Progress)
        tracking?.let(training::listener)
        if (autoencoderSteps > 0) {
            training.autoencoder {
                it.steps(autoencoderSteps).learningRate(learningRate).warmup(50).batch(batch).patches(patches)
                    .evaluateEvery(autoencoderSteps).checkpointEvery(evaluateEvery).seed(seed)
            }
        }
        training.languageModel {
            it.steps(steps).learningRate(learningRate).warmup(50).batch(batch).patches(patches).averaging(0.99)
                .evaluateEvery(evaluateEvery).patience(patience).seed(seed)
        }
    }

    private fun score(model: Path, held: TokenStore): BrierScore {
        val score = BrierScoring(patches, SCORED_TOGETHER, 0, seed).score(model, held, program)
        val accuracy = AutoencoderScoring(seed).score(model, held, program).accuracy()
        println("BrierLM ${score.shown} on ${score.positions()} positions of held-out text, " +
            "accuracy of the autoencoder %.1f %%".format(Locale.ROOT, 100 * accuracy))
        return score
    }

    private fun compare(score: String, before: Double, errorBefore: Double, after: Double, errorAfter: Double) =
        println("$score %.2f ± %.2f before, %.2f ± %.2f after: %+.2f ± %.2f".format(Locale.ROOT, before, errorBefore,
            after, errorAfter, after - before, hypot(errorBefore, errorAfter)))

    private fun write(model: GenerationEngine) = prompts.forEach { prompt ->
        print("> $prompt")
        for (chunk in model.generate(prompt) { it.temperature(0.5).maxNewTokens(60).seed(seed) }) {
            print(chunk.text())
        }
        println()
    }

    private fun answer(model: GenerationEngine, unseen: Corpus) =
        println(ExactMatchScoring(ExactMatchScoring.TEMPERATURE, ANSWERED, seed).score(model, unseen))

    private fun register(score: BrierScore, tracking: MlflowListener?) {
        val name = registerAs ?: return
        val server = mlflow ?: return
        val registered = MlflowRegistry.of(MlflowConnection.to(server)).register(name, output) { version ->
            version.metric("brier_lm", score.brierLm()).metric("brier_lm_error", score.error())
            tracking?.status()?.flatMap { it.runId() }?.ifPresent(version::runId)
        }
        println("Registered as ${registered.uri()}")
    }

    /** What can be refused is refused before the work. */
    private fun refuseEarly() {
        if (registerAs != null && mlflow == null) {
            throw InvalidInputException("--register-as", "is given, but there is no MLflow server", "give --mlflow too")
        }
        if (output.exists()) {
            throw InvalidInputException("--output $output", "exists already", "give another directory, or remove it")
        }
        if (corpus.isEmpty() != heldOut.isEmpty()) {
            throw InvalidInputException("--corpus and --held-out", "only one of them is given",
                "give both, or neither for generated support tickets")
        }
    }

    private fun texts(): Pair<Corpus, Corpus> {
        if (corpus.isNotEmpty()) {
            return Corpus.of(corpus) to Corpus.of(heldOut)
        }
        val directory = output.absolute().createParentDirectories()
        val tickets = directory.resolveSibling("${output.name}-tickets.jsonl")
        val unseen = directory.resolveSibling("${output.name}-held-out.jsonl")
        if (categories) {
            TicketCorpus.writeCategories(tickets, TICKETS, 1)
            TicketCorpus.writeCategories(unseen, HELD_OUT_TICKETS, 2)
        } else {
            TicketCorpus.write(tickets, TICKET_BYTES, 1)
            TicketCorpus.write(unseen, HELD_OUT_BYTES, 2)
        }
        return Corpus.of(tickets) to Corpus.of(unseen)
    }
}

private val BrierScore.shown get() = "%.2f ± %.2f".format(Locale.ROOT, brierLm(), error())

/** A line for each evaluation, and one for the end of a phase. */
private object Progress : TrainingListener {

    override fun onEvaluation(phase: Phase, step: Long, metrics: Map<String, Double>) =
        println(metrics.filterKeys { !it.matches(Regex("brier_\\d")) }.entries
            .joinToString(prefix = "$phase, step $step: ") { (name, value) -> "$name %.4g".format(Locale.ROOT, value) })

    override fun onBest(phase: Phase, step: Long, directory: Path) = println("  the best so far")

    override fun onEnd(phase: Phase, step: Long) = println("$phase: ended after step $step")
}

/** The exit code is 2 for what the user can mend, with one line that says how, or 1. */
internal fun fineTune(vararg args: String): Int = CommandLine(FineTune())
    .setExecutionExceptionHandler { failure, command, _ ->
        command.err.println("fine-tune: ${failure.message ?: failure}")
        if (failure is InvalidInputException) 2 else 1
    }
    .setParameterExceptionHandler { failure, _ ->
        failure.commandLine.err.println("fine-tune: ${failure.message}; see --help")
        2
    }
    .execute(*args)

fun main(args: Array<String>) {
    exitProcess(fineTune(*args))
}

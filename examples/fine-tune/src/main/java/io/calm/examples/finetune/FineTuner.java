package io.calm.examples.finetune;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

import io.calm.Calm;
import io.calm.evaluation.AutoencoderScore;
import io.calm.evaluation.AutoencoderScoring;
import io.calm.evaluation.BrierScore;
import io.calm.evaluation.BrierScoring;
import io.calm.evaluation.ExactMatch;
import io.calm.evaluation.ExactMatchScoring;
import io.calm.examples.quickstart.TicketCorpus;
import io.calm.generation.GenerationEngine;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowListener;
import io.calm.mlflow.MlflowRegistry;
import io.calm.mlflow.MlflowStatus;
import io.calm.spring.CalmTrainer;
import io.calm.text.Corpus;
import io.calm.text.TokenStore;
import io.calm.text.Tokenizer;

import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.ApplicationArguments;
import org.springframework.boot.ApplicationRunner;
import org.springframework.stereotype.Component;

/**
 * Scores the base, trains it on, scores what has come of it, and registers that.
 */
@Component
class FineTuner implements ApplicationRunner {

	private static final int TICKET_BYTES = 1 << 20;

	private static final int HELD_OUT_BYTES = 1 << 16;

	private static final int TICKETS = 4_000;

	private static final int HELD_OUT_TICKETS = 300;

	/** Prompts that base and result answer. */
	private static final int ANSWERED = 200;

	/** Blocks scored side by side. */
	private static final int SCORED_TOGETHER = 2;

	private final FineTuneProperties properties;

	private final CalmTrainer trainer;

	private final Optional<MlflowListener> tracking;

	private final Optional<MlflowRegistry> registry;

	private final PrintStream out = System.out;

	FineTuner(FineTuneProperties properties, CalmTrainer trainer, ObjectProvider<MlflowListener> tracking,
			ObjectProvider<MlflowRegistry> registry) {
		this.properties = properties;
		this.trainer = trainer;
		this.tracking = Optional.ofNullable(tracking.getIfAvailable());
		this.registry = Optional.ofNullable(registry.getIfAvailable());
	}

	@Override
	public void run(ApplicationArguments args) throws IOException {
		checkRegistration();
		Texts texts = texts();
		try (Tokenizer tokenizer = Tokenizer.load(this.properties.base());
				TokenStore heldOut = TokenStore.of(texts.heldOut(), tokenizer)) {
			this.out.println("Before: " + this.properties.base());
			BrierScore before = score(this.properties.base(), heldOut);
			boolean questions = heldOut.given(0) > 0;
			try (GenerationEngine base = Calm.open(this.properties.base())) {
				show(base, texts.heldOut(), questions);
			}
			this.out.println(System.lineSeparator() + "Fine-tuning");
			GenerationEngine tuned = train(texts);
			this.out.println(System.lineSeparator() + "After: " + this.properties.output());
			BrierScore after;
			try (tuned) {
				after = score(this.properties.output(), heldOut);
				show(tuned, texts.heldOut(), questions);
			}
			this.out.println();
			compare("BrierLM", before.brierLm(), before.error(), after.brierLm(), after.error());
			compare("100 Brier-1", 100 * before.brier()[0], 100 * before.brierErrors()[0], 100 * after.brier()[0],
					100 * after.brierErrors()[0]);
			register(after);
		}
	}

	/** What can be refused is refused before the work. */
	private void checkRegistration() {
		if (this.properties.registerAs() != null && this.registry.isEmpty()) {
			throw new InvalidInputException("finetune.register-as", "is given, but there is no MLflow server",
					"set calm.mlflow.tracking-uri too");
		}
		if (Files.exists(this.properties.output())) {
			throw new InvalidInputException("finetune.output=" + this.properties.output(), "exists already",
					"give another directory, or remove it");
		}
	}

	private record Texts(Corpus corpus, Corpus heldOut) {
	}

	private Texts texts() throws IOException {
		List<Path> corpus = this.properties.corpus();
		List<Path> heldOut = this.properties.heldOut();
		if (corpus.isEmpty() != heldOut.isEmpty()) {
			throw new InvalidInputException("finetune.corpus and finetune.held-out", "only one of them is given",
					"give both, or neither for generated support tickets");
		}
		if (corpus.isEmpty()) {
			Path output = this.properties.output().toAbsolutePath();
			Files.createDirectories(output.getParent());
			Path tickets = output.resolveSibling(output.getFileName() + "-tickets.jsonl");
			Path unseen = output.resolveSibling(output.getFileName() + "-held-out.jsonl");
			if (this.properties.categories()) {
				TicketCorpus.writeCategories(tickets, TICKETS, 1);
				TicketCorpus.writeCategories(unseen, HELD_OUT_TICKETS, 2);
			}
			else {
				TicketCorpus.write(tickets, TICKET_BYTES, 1);
				TicketCorpus.write(unseen, HELD_OUT_BYTES, 2);
			}
			return new Texts(Corpus.of(tickets), Corpus.of(unseen));
		}
		if (this.properties.categories()) {
			throw new InvalidInputException("finetune.categories", "is given, and so is finetune.corpus",
					"leave one of them out: only generated tickets have categories");
		}
		return new Texts(corpus(corpus), corpus(heldOut));
	}

	private Corpus corpus(List<Path> paths) {
		return Corpus.of((corpus) -> corpus.paths(paths).jsonField(this.properties.jsonField()));
	}

	private BrierScore score(Path model, TokenStore heldOut) {
		ProgramOptions program = program();
		BrierScore score = new BrierScoring(this.properties.patches(), SCORED_TOGETHER, 0, this.properties.seed())
			.score(model, heldOut, program);
		AutoencoderScore autoencoder = new AutoencoderScoring(this.properties.seed()).score(model, heldOut, program);
		this.out.printf(Locale.ROOT,
				"BrierLM %.2f ± %.2f on %,d positions of held-out text, accuracy of the autoencoder %.1f %%%n",
				score.brierLm(), score.error(), score.positions(), 100 * autoencoder.accuracy());
		return score;
	}

	private void compare(String score, double before, double errorBefore, double after, double errorAfter) {
		this.out.printf(Locale.ROOT, "%s %.2f ± %.2f before, %.2f ± %.2f after: %+.2f ± %.2f%n", score, before,
				errorBefore, after, errorAfter, after - before, Math.hypot(errorBefore, errorAfter));
	}

	/** What a model writes: its answers, if the held-out text has prompts. */
	private void show(GenerationEngine model, Corpus heldOut, boolean questions) {
		if (questions) {
			ExactMatch match = new ExactMatchScoring(ExactMatchScoring.TEMPERATURE, ANSWERED, this.properties.seed())
				.score(model, heldOut);
			this.out.printf(Locale.ROOT, "%.1f %% ± %.1f of %d answers are right, word for word%n", 100 * match.share(),
					100 * match.error(), match.answers());
		}
		else {
			write(model);
		}
	}

	private void write(GenerationEngine model) {
		for (String prompt : this.properties.prompts()) {
			this.out.print("> " + prompt);
			model
				.generate(prompt,
						(request) -> request.temperature(this.properties.sample().temperature())
							.maxNewTokens(this.properties.sample().maxNewTokens())
							.seed(this.properties.seed()))
				.forEach((chunk) -> this.out.print(chunk.text()));
			this.out.println();
		}
	}

	private GenerationEngine train(Texts texts) {
		return this.trainer.train((training) -> {
			training.base(this.properties.base())
				.corpus(texts.corpus())
				.evaluation(texts.heldOut())
				.languageModel(this.properties::languageModel)
				.program(program())
				.listener(new Progress(this.out))
				.output(this.properties.output());
			if (this.properties.autoencoder().steps() > 0) {
				training.autoencoder(this.properties::autoencoder);
			}
		});
	}

	private ProgramOptions program() {
		return new ProgramOptions(this.properties.device(), this.properties.precision(), this.properties.fused());
	}

	private void register(BrierScore score) {
		String name = this.properties.registerAs();
		if (name == null) {
			return;
		}
		// waits for the server, so that the run is known
		this.tracking.ifPresent(MlflowListener::close);
		MlflowRegistry.Version registered = this.registry.orElseThrow()
			.register(name, this.properties.output(), (version) -> {
				version.metric("brier_lm", score.brierLm()).metric("brier_lm_error", score.error());
				this.tracking.flatMap(MlflowListener::status).flatMap(MlflowStatus::runId).ifPresent(version::runId);
				if (this.properties.alias() != null) {
					version.alias(this.properties.alias());
				}
			});
		this.out.println("Registered as " + registered.uri());
	}

}

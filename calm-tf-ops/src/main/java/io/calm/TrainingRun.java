package io.calm;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.OutputLock;
import io.calm.cluster.Cluster;
import io.calm.cluster.Workers;
import io.calm.graph.Trace;
import io.calm.input.InvalidInputException;
import io.calm.model.ModelFiles;
import io.calm.text.Corpus;
import io.calm.text.TokenCache;
import io.calm.text.TokenStore;
import io.calm.text.Tokenizer;
import io.calm.training.Checkpoint;
import io.calm.training.Phase;
import io.calm.training.Trainable;
import io.calm.training.Trainer;
import io.calm.training.TrainingException;
import io.calm.training.TrainingListener;
import io.calm.training.Trial;
import org.jspecify.annotations.Nullable;

/**
 * Carries out a plan: reads the text, trains or tries out one part after the other, and
 * makes the model directory of what was trained.
 */
final class TrainingRun {

	private static final String TOKENS = "tokens";

	private final CalmTraining settings;

	private final TrainingPlan plan;

	private final Tokenizer tokens;

	private final TokenStore data;

	private final @Nullable TokenStore unseen;

	private final @Nullable Cluster cluster;

	/** Null while nothing is to be recorded. */
	private @Nullable Trace trace;

	private TrainingRun(CalmTraining settings, TrainingPlan plan, Tokenizer tokens, TokenStore data,
			@Nullable TokenStore unseen, @Nullable Cluster cluster) {
		this.settings = settings;
		this.plan = plan;
		this.tokens = tokens;
		this.data = data;
		this.unseen = unseen;
		this.cluster = cluster;
	}

	static Path train(CalmTraining settings) {
		Path target = target(settings);
		given("corpus", "name the text to train on", settings.corpus);
		Path work = Checkpoint.workOf(target);
		Workers workers = (settings.workers != null) ? settings.workers : Workers.ofEnvironment().orElse(null);
		if (workers == null || workers.count() == 1) {
			try (OutputLock lock = OutputLock.of(target)) {
				refuseExisting(target);
				return train(settings, work, target, null);
			}
		}
		refuseExisting(target);
		// before others wait for this one in vain
		TrainingPlan.of(settings);
		try (Cluster cluster = Cluster.join(workers, settings.program.device(), settings.reductionPrecision,
				settings.joinTimeout, settings.workerTimeout, settings.onLostWorker);
				OutputLock lock = workers.isFirst() ? OutputLock.of(target) : null) {
			Path made = train(settings, work, target, cluster);
			cluster.leave();
			return made;
		}
	}

	private static Path train(CalmTraining settings, Path work, Path target, @Nullable Cluster cluster) {
		boolean first = cluster == null || cluster.workers().isFirst();
		try {
			return with(
					settings, (of, text, tokens) -> (cluster != null)
							? cluster.firstThenOthers(() -> tokenized(of, text, tokens)) : tokenized(of, text, tokens),
					cluster, (run) -> {
						Path made = TrainingListener.follow(first ? settings.listeners : List.of(), run.plan.phases(),
								() -> run.makeModel(work, target), (model) -> !model.equals(target));
						if (first && made.equals(target)) {
							delete(work);
						}
						return made;
					});
		}
		catch (RuntimeException ex) {
			if (first) {
				deleteEmpty(work);
			}
			if (ex.getCause() instanceof ClosedByInterruptException) {
				// not the file is to blame, which an interrupt has closed
				throw new TrainingException(
						"The training was interrupted; its state is in " + work + " and the same command resumes there",
						ex);
			}
			throw ex;
		}
	}

	static Map<Phase, Double> flopsPerStep(CalmTraining settings) {
		Function<Tokenizer, TrainingPlan> planned = TrainingPlan.of(settings);
		Tokenizer tokens = openTokenizer(settings);
		try {
			Map<Phase, Double> flops = new EnumMap<>(Phase.class);
			planned.apply(tokens)
				.parts()
				.forEach((part) -> flops.put(part.model().phase(), part.model().flopsPerStep(part.options())));
			return flops;
		}
		finally {
			if (settings.tokenizer == null) {
				tokens.close();
			}
		}
	}

	static TrainingTrial tryOut(CalmTraining settings) {
		refuseExisting(target(settings));
		return with(settings, TrainingRun::kept, null, TrainingRun::tryParts);
	}

	private static <T> T with(CalmTraining settings, TokensOfText tokensOf, @Nullable Cluster cluster,
			Function<TrainingRun, T> action) {
		Function<Tokenizer, TrainingPlan> planned = TrainingPlan.of(settings);
		Tokenizer tokens = openTokenizer(settings);
		try {
			TrainingPlan plan = planned.apply(tokens);
			Corpus text = given("corpus", "name the text to train on", settings.corpus);
			try (TokenStore data = tokensOf.store(settings, text, tokens);
					TokenStore unseen = (settings.unseen != null) ? tokensOf.store(settings, settings.unseen, tokens)
							: null) {
				return action.apply(new TrainingRun(settings, plan, tokens, data, unseen, cluster));
			}
		}
		finally {
			if (settings.tokenizer == null) {
				tokens.close();
			}
		}
	}

	/** Where the tokens of a text come from. */
	private interface TokensOfText {

		TokenStore store(CalmTraining settings, Corpus text, Tokenizer tokens);

	}

	private static TokenStore tokenized(CalmTraining settings, Corpus text, Tokenizer tokens) {
		return cache(settings).get(text, tokens, (bytes, ofBytes, made) -> settings.listeners
			.forEach((listener) -> listener.onTokens(bytes, ofBytes, made)));
	}

	/** Without keeping any that are not kept. */
	private static TokenStore kept(CalmTraining settings, Corpus text, Tokenizer tokens) {
		return cache(settings).find(text, tokens).orElseGet(() -> TokenStore.of(text, tokens));
	}

	private static TokenCache cache(CalmTraining settings) {
		return TokenCache.in((settings.tokens != null) ? settings.tokens : target(settings).resolveSibling(TOKENS));
	}

	private static Path target(CalmTraining settings) {
		return given("output", "name the model directory to write", settings.output);
	}

	private static Tokenizer openTokenizer(CalmTraining settings) {
		if (settings.tokenizer != null) {
			return settings.tokenizer;
		}
		return Tokenizer
			.load(given("tokenizer", "name a tokenizer.json, or use the ByteTokenizer", (settings.base != null)
					? settings.base : (settings.tokenizerPath != null) ? settings.tokenizerPath : settings.llama));
	}

	private static <T> T given(String what, String action, @Nullable T value) {
		if (value == null) {
			throw new InvalidInputException(what, "is missing", action);
		}
		return value;
	}

	static void refuseExisting(Path target) {
		if (Files.exists(target)) {
			throw new InvalidInputException(target.toString(), "exists already",
					"give another output directory, or remove it");
		}
	}

	private TrainingTrial tryParts() {
		List<Trial> trials = this.plan.parts()
			.stream()
			.map((part) -> trainer(part, part.model()).tryOut(this.data))
			.toList();
		return new TrainingTrial(this.data.documents(), this.data.tokens(), trials);
	}

	/** The target, or where the training stands if it pauses. */
	private Path makeModel(Path work, Path target) {
		boolean writes = this.cluster == null || this.cluster.workers().isFirst();
		if (this.settings.trace != null && writes) {
			this.trace = new Trace(this.settings.trace);
		}
		TrainingPlan.Part first = this.plan.autoencoder();
		Path autoencoder = (first != null) ? train(first, first.model(), work) : this.plan.baseAutoencoder();
		Trainable model = this.plan.model().model();
		Path trained = train(this.plan.model(), (autoencoder != null) ? model.over(autoencoder) : model, work);
		if (this.plan.model().options().pauses()) {
			return trained;
		}
		if (writes) {
			finish(trained, autoencoder, target);
		}
		return target;
	}

	private Path train(TrainingPlan.Part part, Trainable model, Path work) {
		Trainer trainer = trainer(part, model);
		Path directory = work.resolve(model.phase().toString());
		Consumer<Path> files = (checkpoint) -> {
			this.tokens.save(checkpoint);
			this.settings.files.accept(checkpoint);
		};
		return (part.base() != null) ? trainer.fineTune(part.base(), this.data, directory, files)
				: trainer.train(this.data, directory, files);
	}

	private Trainer trainer(TrainingPlan.Part part, Trainable model) {
		TrainingEvaluation evaluation = new TrainingEvaluation(this.unseen, this.settings.prompts,
				this.settings.sampled, this.settings.program);
		return new Trainer(model, part.options(), this.settings.program, this.settings.listeners,
				evaluation.of(model.phase(), part.options().patches()), this.cluster, this.trace);
	}

	private void finish(Path model, @Nullable Path autoencoder, Path target) {
		ModelDirectory.write(target, (directory) -> {
			ModelDirectory.open(model).copyTo(directory);
			this.settings.files.accept(directory);
			if (autoencoder != null && this.settings.lowRank == null) {
				ModelDirectory.open(autoencoder).copyTo(directory.resolve(ModelFiles.AUTOENCODER));
			}
		});
	}

	/** The parent of checkpoints of which not even the first could be written. */
	private static void deleteEmpty(Path directory) {
		try {
			if (Files.isDirectory(directory)) {
				Files.delete(directory);
			}
		}
		catch (IOException ex) {
			// it holds checkpoints, from which the training can go on
		}
	}

	private static void delete(Path directory) {
		try (Stream<Path> paths = Files.walk(directory)) {
			for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
				Files.delete(path);
			}
		}
		catch (IOException ex) {
			throw new InvalidInputException(directory.toString(),
					"cannot be deleted, though the model is finished (" + ex + ")", "delete it by hand", ex);
		}
	}

}

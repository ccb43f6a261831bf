package io.calm.cli.sweep;

import java.nio.file.Files;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

import io.calm.cli.ablate.Notebook;
import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowStudy;
import io.calm.training.TrainingException;
import io.calm.training.TrainingListener;
import org.jspecify.annotations.Nullable;

/**
 * Trains the trials of a sweep, rung by rung, some at a time, and goes on where it was
 * interrupted: what has an outcome is done, what has none continues from its checkpoint.
 */
public final class Race {

	private final Halving halving;

	private final int parallel;

	private final Notebook notebook;

	private final @Nullable MlflowStudy study;

	private final Function<Trial, TrainingListener> progress;

	/**
	 * A race.
	 * @param halving how many go on
	 * @param parallel how many train at the same time
	 * @param notebook keeps outcomes
	 * @param study is told of them; null for nobody
	 * @param progress gives a listener to each part of a trial
	 */
	public Race(Halving halving, int parallel, Notebook notebook, @Nullable MlflowStudy study,
			Function<Trial, TrainingListener> progress) {
		this.halving = halving;
		this.parallel = parallel;
		this.notebook = notebook;
		this.study = study;
		this.progress = progress;
	}

	/**
	 * Runs what is left of it.
	 * @param parameters that distinguish the trials
	 * @param entrants all trials
	 * @return what was found
	 */
	public SweepReport run(List<Parameter> parameters, List<Entrant> entrants) {
		return new SweepReport(parameters, this.halving, rank(entrants));
	}

	/** The best one first. */
	private List<Standing> rank(List<Entrant> entrants) {
		List<Standing> stopped = new ArrayList<>();
		List<Standing> racing = entrants.stream()
			.map((entrant) -> new Standing(entrant, 0, new Outcome(0, 0, 0, Map.of(), null), 0))
			.toList();
		for (int rung = 0; rung < this.halving.rungs(); rung++) {
			List<Standing> ranked = new ArrayList<>(train(racing, rung));
			ranked.sort(Comparator.comparing(Standing::outcome, Outcome.BEST_FIRST));
			boolean last = rung + 1 == this.halving.rungs();
			List<Standing> sound = ranked.stream().filter((standing) -> standing.outcome().failure() == null).toList();
			int goOn = last ? sound.size() : Math.min(sound.size(), this.halving.goOn(ranked.size()));
			for (Standing standing : ranked.subList(goOn, ranked.size())) {
				if (standing.outcome().failure() == null) {
					tellStopped(standing);
				}
			}
			// those that came further stand before all others
			stopped.addAll(0, ranked.subList(goOn, ranked.size()));
			racing = ranked.subList(0, goOn);
		}
		List<Standing> all = new ArrayList<>(racing);
		all.addAll(stopped);
		return all;
	}

	private void tellStopped(Standing standing) {
		if (this.study != null) {
			this.study.end(standing.entrant().trial().name(), Instant.ofEpochMilli(standing.outcome().ended()),
					Map.of("calm.stopped_after_step", Long.toString(standing.outcome().step())));
		}
	}

	private List<Standing> train(List<Standing> racing, int rung) {
		ExecutorService threads = Executors.newFixedThreadPool(this.parallel);
		try {
			CompletionService<Standing> running = new ExecutorCompletionService<>(threads);
			racing.forEach((standing) -> running.submit(() -> train(standing, rung)));
			List<Standing> trained = new ArrayList<>();
			while (trained.size() < racing.size()) {
				trained.add(running.take().get());
			}
			// among equals, the first one
			trained.sort(Comparator.comparingInt((standing) -> standing.entrant().trial().number()));
			return trained;
		}
		catch (ExecutionException ex) {
			if (ex.getCause() instanceof Error error) {
				throw error;
			}
			throw (RuntimeException) ex.getCause();
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			throw new TrainingException("The sweep was interrupted; the same command resumes there", ex);
		}
		finally {
			end(threads);
		}
	}

	/** Trainings that are interrupted save their state first. */
	private static void end(ExecutorService threads) {
		threads.shutdownNow();
		boolean interrupted = Thread.interrupted();
		try {
			while (!threads.awaitTermination(1, TimeUnit.MINUTES)) {
				// a step or an evaluation may be long
			}
		}
		catch (InterruptedException ex) {
			interrupted = true;
		}
		if (interrupted) {
			Thread.currentThread().interrupt();
		}
	}

	private Standing train(Standing standing, int rung) {
		String name = "results/" + standing.entrant().trial().name() + ".rung-" + (rung + 1) + ".json";
		Outcome outcome = this.notebook.readJson(name, Outcome.class).orElseGet(() -> {
			Outcome found = train(standing.entrant(), rung);
			if (this.study != null) {
				this.study.keep();
			}
			this.notebook.writeJson(name, found);
			return found;
		});
		return new Standing(standing.entrant(), rung, outcome, standing.seconds() + outcome.seconds());
	}

	private Outcome train(Entrant entrant, int rung) {
		String name = entrant.trial().name();
		long step = this.halving.lastStep(entrant.steps(), rung);
		long start = System.nanoTime();
		List<TrainingListener> listeners = new ArrayList<>(
				List.of(this.progress.apply(entrant.trial()), this.notebook.keepingWay(name)));
		if (this.study != null) {
			listeners.add(this.study.training(name, params(entrant)));
		}
		@Nullable String failure = null;
		try {
			if (!Files.exists(entrant.model())) {
				entrant.training().until(step, listeners);
			}
			else if (this.study != null) {
				// a kill has left a model without an outcome
				this.study.end(name, Instant.now(), Map.of());
			}
		}
		catch (TrainingException ex) {
			if (Thread.currentThread().isInterrupted()) {
				throw ex;
			}
			failure = ex.getMessage();
		}
		catch (InvalidInputException ex) {
			throw ex.in(name + " (" + entrant.trial().description() + ")");
		}
		Map<String, Double> scores = this.notebook.way(name).getOrDefault(Long.toString(step), Map.of());
		if (this.study != null && failure == null) {
			tell(this.study, entrant, step, scores);
		}
		return new Outcome(step, (System.nanoTime() - start) / 1e9, System.currentTimeMillis(), scores, failure);
	}

	private static void tell(MlflowStudy study, Entrant entrant, long step, Map<String, Double> scores) {
		Map<String, Double> told = new LinkedHashMap<>(scores);
		told.put("steps", (double) step);
		told.put("training_flops", step * entrant.flopsPerStep());
		told.values().removeIf((value) -> value.isNaN());
		study.scores(entrant.trial().name(), step, told);
	}

	private static Map<String, String> params(Entrant entrant) {
		Map<String, String> params = new LinkedHashMap<>(entrant.trial().values());
		params.put("steps", Long.toString(entrant.steps()));
		return params;
	}

}

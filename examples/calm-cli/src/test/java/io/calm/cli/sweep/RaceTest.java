package io.calm.cli.sweep;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.IntStream;

import io.calm.cli.ablate.Notebook;
import io.calm.training.Phase;
import io.calm.training.TrainingException;
import io.calm.training.TrainingListener;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

/** Who goes on how far, with trainings that only tell scores. */
class RaceTest {

	private final Path directory;

	/** How far trials were trained, in order. */
	private final List<String> trained = new ArrayList<>();

	/** The score of a trial is its number, its checkpoints are these steps. */
	private final Map<String, Long> steps = new ConcurrentHashMap<>();

	private Consumer<String> atEnd = (part) -> {
	};

	RaceTest(@TempDir Path directory) {
		this.directory = directory;
	}

	private List<Entrant> entrants(int count) {
		return IntStream.rangeClosed(1, count).mapToObj((number) -> {
			Trial trial = new Trial(number, Map.of("number", Integer.toString(number)));
			Path model = this.directory.resolve(trial.name());
			return new Entrant(trial, 80, 1e6 * number, model,
					(step, listeners) -> train(trial, step, model, listeners));
		}).toList();
	}

	private void train(Trial trial, long step, Path model, List<TrainingListener> listeners) {
		String part = trial.name() + " " + this.steps.getOrDefault(trial.name(), 0L) + " to " + step;
		synchronized (this.trained) {
			this.trained.add(part);
		}
		listeners.forEach((listener) -> listener.onEvaluation(Phase.BASELINE, step,
				Map.of("brier_lm", (double) trial.number(), "brier_lm_error", 0.5)));
		this.steps.put(trial.name(), step);
		this.atEnd.accept(part);
		if (step == 80) {
			try {
				Files.createDirectory(model);
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}
	}

	private List<Standing> race(int trials, Halving halving, int parallel) {
		List<Parameter> parameters = List.of(new Parameter("number", List.of("1", "2"), null));
		SweepReport report = new Race(halving, parallel, new Notebook(this.directory), null,
				(trial) -> new TrainingListener() {
				})
			.run(parameters, entrants(trials));
		report.write(new Notebook(this.directory));
		return report.standings();
	}

	private static List<Outcome> outcomes(List<Standing> standings) {
		return standings.stream().map(Standing::outcome).toList();
	}

	@Test
	void theBetterHalfGoesOn() throws Exception {
		List<Standing> standings = race(5, new Halving(3, 2), 1);
		assertThat(this.trained).containsExactly("trial-001 0 to 20", "trial-002 0 to 20", "trial-003 0 to 20",
				"trial-004 0 to 20", "trial-005 0 to 20", "trial-005 20 to 40", "trial-004 20 to 40",
				"trial-003 20 to 40", "trial-005 40 to 80", "trial-004 40 to 80");
		assertThat(standings.stream().map((standing) -> standing.entrant().trial().number())).containsExactly(5, 4, 3,
				2, 1);
		assertThat(this.directory.resolve("results.csv")).content()
			.startsWith("trial,number,BrierLM,standard error,Brier-1,")
			.contains("\n5,5,5.0,0.5,,,,,3,80,4.0E8,", "\n3,3,3.0,0.5,,,,,2,40,1.2E8,", "\n1,1,1.0,0.5,,,,,1,20,");
		assertThat(this.directory.resolve("report.md")).content()
			.contains("5 trials, the best one first", "After each of 3 rungs the better 1/2 went on",
					"| 5 | 5 | 5 | 0.5000 |");

		this.trained.clear();
		assertThat(outcomes(race(5, new Halving(3, 2), 1))).isEqualTo(outcomes(standings));
		assertThat(this.trained).as("nothing is done again").isEmpty();
	}

	@Test
	void whatHasFailedStopsAndStandsLast() {
		this.atEnd = (part) -> {
			if (part.startsWith("trial-004")) {
				throw new TrainingException("The loss is NaN", new ArithmeticException());
			}
		};
		List<Standing> standings = race(4, new Halving(2, 2), 1);
		assertThat(standings.stream().map((standing) -> standing.entrant().trial().number())).containsExactly(3, 2, 1,
				4);
		assertThat(this.directory.resolve("report.md")).content().contains("| The loss is NaN |");
		this.trained.clear();
		assertThat(outcomes(race(4, new Halving(2, 2), 1))).isEqualTo(outcomes(standings));
		assertThat(this.trained).isEmpty();
	}

	@Test
	void goesOnAfterAnErrorThatIsNoTrialsFault() {
		this.atEnd = (part) -> {
			if (part.equals("trial-002 0 to 40")) {
				throw new IllegalStateException("the power fails");
			}
		};
		assertThatIllegalStateException().isThrownBy(() -> race(3, new Halving(2, 2), 1))
			.withMessage("the power fails");
		this.atEnd = (part) -> {
		};
		this.trained.clear();
		race(3, new Halving(2, 2), 1);
		assertThat(this.trained.stream().filter((part) -> !part.startsWith("trial-003")))
			.containsExactly("trial-002 40 to 40", "trial-002 40 to 80");
	}

	/** The kill came after the model was in its place, and before that was noted down. */
	@Test
	void modelWithoutAnOutcomeIsDone() throws Exception {
		List<Standing> standings = race(2, Halving.NONE, 1);
		Files.delete(this.directory.resolve("results/trial-002.rung-1.json"));
		this.trained.clear();
		assertThat(race(2, Halving.NONE, 1).stream().map(Standing::rung)).hasSize(2);
		assertThat(this.trained).isEmpty();
		assertThat(this.directory.resolve("results.csv")).content().contains("\n2,2,2.0,0.5");
		assertThat(standings).hasSize(2);
	}

	@Test
	void trainsSomeAtTheSameTime() {
		CyclicBarrier three = new CyclicBarrier(3);
		this.atEnd = (part) -> {
			try {
				// nobody is let through before three are here
				three.await(1, TimeUnit.MINUTES);
			}
			catch (Exception ex) {
				throw new IllegalStateException(ex);
			}
		};
		assertThat(race(6, Halving.NONE, 3)).hasSize(6);
		assertThat(this.trained).hasSize(6);
	}

}

package io.calm.cli.sweep;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

import io.calm.cli.ablate.Notebook;
import io.calm.cli.ablate.Table;
import io.calm.evaluation.BrierScore;

/**
 * What a sweep has found: {@code results.csv}, {@code parallel.png} and
 * {@code report.md}.
 */
public final class SweepReport {

	private static final String PICTURE = "parallel.png";

	private static final List<String> FILES = List.of("report.md", "results.csv", PICTURE);

	private final List<Parameter> parameters;

	private final Halving halving;

	private final List<Standing> standings;

	SweepReport(List<Parameter> parameters, Halving halving, List<Standing> standings) {
		this.parameters = parameters;
		this.halving = halving;
		this.standings = standings;
	}

	List<Standing> standings() {
		return this.standings;
	}

	/**
	 * The best trial.
	 * @return nothing if all have failed
	 */
	public Optional<Trial> best() {
		return bestStanding().map((standing) -> standing.entrant().trial());
	}

	/**
	 * The score of the best trial.
	 * @return BrierLM; NaN if all have failed
	 */
	public double bestBrierLm() {
		return bestStanding().map((standing) -> standing.outcome().score(BrierScore.BRIER_LM)).orElse(Double.NaN);
	}

	private Optional<Standing> bestStanding() {
		return this.standings.stream().filter((standing) -> standing.outcome().failure() == null).findFirst();
	}

	/**
	 * Writes the report.
	 * @param notebook whose directory it is written into
	 * @return the files
	 */
	public List<Path> write(Notebook notebook) {
		notebook.write("results.csv", table(Table::exact).csv(this.standings));
		if (bestStanding().isPresent()) {
			notebook.write(PICTURE, picture());
		}
		notebook.write("report.md", markdown());
		return FILES.stream().map(notebook.directory()::resolve).filter(Files::exists).toList();
	}

	/** How numbers are written. */
	private interface Format {

		String text(double number);

	}

	private Table<Standing> table(Format format) {
		Table<Standing> table = new Table<Standing>().column("trial",
				(standing) -> Integer.toString(standing.entrant().trial().number()));
		this.parameters.forEach((parameter) -> table.column(parameter.key(),
				(standing) -> standing.entrant().trial().values().getOrDefault(parameter.key(), "")));
		table.column("BrierLM", (standing) -> format.text(standing.outcome().score(BrierScore.BRIER_LM)))
			.column("standard error",
					(standing) -> format.text(standing.outcome().score(BrierScore.BRIER_LM + "_error")));
		for (int n = 1; n <= BrierScore.LENGTH; n++) {
			String score = "brier_" + n;
			table.column("Brier-" + n, (standing) -> format.text(standing.outcome().score(score)));
		}
		if (this.halving.rungs() > 1) {
			table.column("rung", (standing) -> Integer.toString(standing.rung() + 1));
		}
		return table.column("steps", (standing) -> Long.toString(standing.outcome().step()))
			.column("training operations", (standing) -> format.text(standing.operations()))
			.column("seconds", (standing) -> format.text(standing.seconds()))
			.column("failure",
					(standing) -> String.valueOf(Optional.ofNullable(standing.outcome().failure()).orElse("")));
	}

	private String markdown() {
		StringBuilder text = new StringBuilder("# Sweep over ");
		text.append(String.join(", ", this.parameters.stream().map(Parameter::key).toList())).append("\n\n");
		text.append(String.format(Locale.ROOT, "%d trials, the best one first. ", this.standings.size()));
		if (this.halving.rungs() > 1) {
			text.append(String.format(Locale.ROOT,
					"After each of %d rungs the better 1/%d went on with %d times the operations. ",
					this.halving.rungs(), this.halving.factor(), this.halving.factor()));
		}
		text.append("The operations are those of the language models.\n\n![parallel coordinates](" + PICTURE + ")\n\n");
		if (this.standings.stream().anyMatch((standing) -> standing.outcome().score(BrierScore.BRIER_LM) == 0)) {
			text.append("BrierLM is 0 as long as one of Brier-1 to Brier-4 is not positive; Brier-1 decides then.\n\n");
		}
		text.append(table(Table::number).markdown(this.standings));
		return text.toString();
	}

	/** Of all trials that have a score. */
	private byte[] picture() {
		List<Standing> drawn = this.standings.stream()
			.filter((standing) -> !Double.isNaN(standing.outcome().score(BrierScore.BRIER_LM)))
			.toList();
		List<Axis> axes = new ArrayList<>();
		for (Parameter parameter : this.parameters) {
			// values in the order of the sweep; of a range, those that were drawn
			List<String> used = drawn.stream()
				.map((standing) -> standing.entrant().trial().values().getOrDefault(parameter.key(), ""))
				.distinct()
				.toList();
			List<String> ordered = Stream.concat(parameter.values().stream().filter(used::contains), used.stream())
				.distinct()
				.toList();
			axes.add(Axis.of(parameter.key(), ordered));
		}
		axes.add(Axis.ofScores("BrierLM", drawn.stream().map(SweepReport::score).distinct().toList()));
		return ParallelPicture.of("BrierLM of " + drawn.size() + " trials", axes,
				drawn.stream().map(this::line).toList());
	}

	private ParallelPicture.Line line(Standing standing) {
		List<String> values = new ArrayList<>();
		this.parameters
			.forEach((parameter) -> values.add(standing.entrant().trial().values().getOrDefault(parameter.key(), "")));
		values.add(score(standing));
		return new ParallelPicture.Line(values, standing.rung() + 1 == this.halving.rungs());
	}

	private static String score(Standing standing) {
		return String.format(Locale.ROOT, "%.2f", standing.outcome().score(BrierScore.BRIER_LM));
	}

}

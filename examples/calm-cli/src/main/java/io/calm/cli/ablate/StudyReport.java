package io.calm.cli.ablate;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.stream.Collectors;

/**
 * What a study has found: {@code results.csv}, {@code chart.png} and {@code report.md}.
 */
public final class StudyReport {

	private static final String CROSS_ENTROPY = "cross_entropy";

	private static final String BRIER_LM = "brier_lm_every_position";

	private final Study study;

	private final Scale scale;

	private final Material material;

	private final List<Point> points;

	private final List<Point> way;

	StudyReport(Study study, Scale scale, Material material, List<Point> points, List<Point> way) {
		this.study = study;
		this.scale = scale;
		this.material = material;
		this.points = points;
		this.way = way;
	}

	/**
	 * Tells each result.
	 * @param target is given a name and the value of what was measured
	 */
	public void forEach(BiConsumer<String, Double> target) {
		this.points.forEach((point) -> target.accept((this.study.measure() == Study.Measure.TEMPERATURE)
				? point.series() + ", " + point.name() : point.name(), point.y()));
	}

	void write(Notebook notebook) {
		notebook.write("results.csv", csv(this.points));
		Path chart = notebook.directory().resolve("chart.png");
		String measured = (this.study.measure() == Study.Measure.TEMPERATURE) ? "accuracy, mean over n = 1..4"
				: "BrierLM";
		switch (this.study.measure()) {
			case BRIER_LM ->
				Charts.bars(this.study.question(), this.study.axis(), this.points, this.material.idealBrierLm(), chart);
			case BRIER_LM_OVER_FLOPS ->
				Charts.lines(this.study.question(), this.study.axis(), measured, this.points, true, chart);
			case TEMPERATURE -> Charts.lines(this.study.question(), "collisions, mean over n = 1..4", measured,
					this.points, false, chart);
		}
		if (!this.way.isEmpty()) {
			notebook.write("checkpoints.csv", csv(this.way));
			Charts.lines("BrierLM and cross entropy of the same checkpoints", "cross entropy, nats per token",
					"BrierLM at every position", this.way, false, notebook.directory().resolve("checkpoints.png"));
		}
		notebook.write("report.md", markdown());
	}

	private String csv(List<Point> rows) {
		Set<String> columns = columns(rows);
		StringBuilder csv = new StringBuilder("series,name,x,y,error");
		columns.forEach((column) -> csv.append(',').append(column));
		csv.append('\n');
		for (Point row : rows) {
			csv.append(quoted(row.series())).append(',').append(quoted(row.name()));
			for (double value : new double[] { row.x(), row.y(), row.error() }) {
				csv.append(',').append(Double.isNaN(value) ? "" : value);
			}
			columns.forEach((column) -> csv.append(',')
				.append(row.more().containsKey(column) ? String.valueOf(row.more().get(column)) : ""));
			csv.append('\n');
		}
		return csv.toString();
	}

	private static String quoted(String text) {
		return '"' + text.replace("\"", "\"\"") + '"';
	}

	private static Set<String> columns(List<Point> rows) {
		return rows.stream()
			.flatMap((row) -> row.more().keySet().stream())
			.collect(Collectors.toCollection(LinkedHashSet::new));
	}

	private String markdown() {
		StringBuilder text = new StringBuilder("# " + this.study.question() + "\n\n");
		text.append("Trained on ").append(this.material.what()).append(". ");
		text.append(String.format(Locale.ROOT,
				"Preset %s, K = %d and l = %d where the study does not vary them, batches of %d blocks of %d tokens, "
						+ "greatest learning rate %s, seed %d; %s.%n%n",
				this.scale.preset(), this.scale.patchSize(), this.scale.latentSize(), this.scale.batch(),
				this.scale.block(), this.scale.learningRate(), this.scale.seed(),
				this.scale.equalFlops() ? "equal training operations of the language models" : "equal steps"));
		if (!Double.isNaN(this.material.idealBrierLm())) {
			text.append(
					String.format(Locale.ROOT, "The best possible BrierLM is %.2f.%n%n", this.material.idealBrierLm()));
		}
		text.append("![chart](chart.png)\n\n");
		Set<String> columns = columns(this.points);
		boolean temperature = this.study.measure() == Study.Measure.TEMPERATURE;
		text.append(temperature ? "| | | accuracy | standard error | collisions |" : "| | BrierLM | standard error |");
		columns.forEach((column) -> text.append(' ').append(column.replace('_', ' ')).append(" |"));
		text.append(temperature ? "\n|---|---|---|---|---|" : "\n|---|---|---|").append("---|".repeat(columns.size()));
		text.append('\n');
		for (Point point : this.points) {
			text.append("| ").append(temperature ? point.series() + " | " + point.name() : point.name());
			text.append(" | ").append(number(point.y())).append(" | ").append(number(point.error())).append(" |");
			if (temperature) {
				text.append(' ').append(number(point.x())).append(" |");
			}
			columns.forEach((column) -> text.append(' ')
				.append(point.more().containsKey(column) ? number(point.more().getOrDefault(column, 0.0)) : "")
				.append(" |"));
			text.append('\n');
		}
		if (!this.way.isEmpty()) {
			text.append(
					"\n## BrierLM and cross entropy of the baselines' checkpoints\n\n![checkpoints](checkpoints.png)\n\n");
			Map<String, List<Point>> series = new LinkedHashMap<>();
			this.way.forEach((point) -> series.computeIfAbsent(point.series(), (key) -> new ArrayList<>()).add(point));
			series.forEach((name, rows) -> text.append(String.format(Locale.ROOT,
					"* %s: Pearson correlation %.3f over %d checkpoints%n", name, correlation(rows), rows.size())));
			text.append(String.format(Locale.ROOT, "* all together: %.3f%n", correlation(this.way)));
		}
		return text.toString();
	}

	private static String number(double value) {
		if (Double.isNaN(value)) {
			return "";
		}
		if (value == Math.rint(value) && Math.abs(value) < 1e6) {
			return Long.toString(Math.round(value));
		}
		return String.format(Locale.ROOT, (Math.abs(value) >= 1e6) ? "%.3g" : "%.4g", value);
	}

	/** The scores that a baseline had on its way. */
	static List<Point> way(Arm arm, Map<String, Map<String, Double>> way) {
		List<Point> points = new ArrayList<>();
		way.forEach((step,
				scores) -> points.add(new Point(arm.name(), "step " + step,
						scores.getOrDefault(CROSS_ENTROPY, Double.NaN), scores.getOrDefault(BRIER_LM, Double.NaN),
						scores.getOrDefault(BRIER_LM + "_error", Double.NaN), scores)));
		return points;
	}

	/** Pearson's, of x and y. */
	static double correlation(List<Point> points) {
		double meanX = points.stream().mapToDouble(Point::x).average().orElse(Double.NaN);
		double meanY = points.stream().mapToDouble(Point::y).average().orElse(Double.NaN);
		double xy = 0;
		double xx = 0;
		double yy = 0;
		for (Point point : points) {
			xy += (point.x() - meanX) * (point.y() - meanY);
			xx += (point.x() - meanX) * (point.x() - meanX);
			yy += (point.y() - meanY) * (point.y() - meanY);
		}
		return xy / Math.sqrt(xx * yy);
	}

}

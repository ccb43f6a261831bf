package io.calm.cli.ablate;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * What a study has found: {@code results.csv}, {@code chart.png} and {@code report.md}.
 */
public final class StudyReport {

	private static final String CROSS_ENTROPY = "cross_entropy";

	private static final String BRIER_LM = "brier_lm_every_position";

	/** What of the further results the report shows; results.csv has them all. */
	private static final Map<String, String> REPORTED = new LinkedHashMap<>();

	static {
		for (int n = 1; n <= 4; n++) {
			REPORTED.put("brier_" + n, "Brier-" + n);
		}
		REPORTED.put("steps", "steps");
		REPORTED.put("seconds", "seconds");
		REPORTED.put("training_flops", "training operations");
		REPORTED.put("inference_flops_per_token", "operations per token generated");
		REPORTED.put("autoencoder_accuracy", "autoencoder's accuracy");
		REPORTED.put(CROSS_ENTROPY, "cross entropy, nats");
		REPORTED.put("draws", "draws per patch");
		REPORTED.put("fell_back", "share that fell back");
	}

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
		notebook.write("chart.png", switch (this.study.measure()) {
			case BRIER_LM ->
				Charts.bars(this.study.question(), this.study.axis(), this.points, this.material.idealBrierLm());
			case BRIER_LM_OVER_FLOPS ->
				Charts.lines(this.study.question(), this.study.axis(), "BrierLM", this.points, true);
			case TEMPERATURE -> Charts.lines(this.study.question(), this.study.axis(), "accuracy, mean over n = 1..4",
					this.points, false);
		});
		if (!this.way.isEmpty()) {
			notebook.write("checkpoints.csv", csv(this.way));
			notebook.write("checkpoints.png", Charts.lines("BrierLM and cross entropy of the same checkpoints",
					"cross entropy, nats per token", "BrierLM at every position", this.way, false));
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
		if (idealIsKnown()) {
			text.append(
					String.format(Locale.ROOT, "The best possible BrierLM is %.2f.%n%n", this.material.idealBrierLm()));
		}
		text.append("![chart](chart.png)\n\n");
		if (this.study.measure() != Study.Measure.TEMPERATURE
				&& this.points.stream().anyMatch((point) -> point.y() == 0)) {
			text.append("BrierLM is 0 as long as one of Brier-1 to Brier-4 is not positive.\n\n");
		}
		table(text);
		if (!this.way.isEmpty()) {
			correlations(text);
		}
		return text.toString();
	}

	private boolean idealIsKnown() {
		return this.study.measure() != Study.Measure.TEMPERATURE && !Double.isNaN(this.material.idealBrierLm());
	}

	private void table(StringBuilder text) {
		boolean temperature = this.study.measure() == Study.Measure.TEMPERATURE;
		Map<String, Function<Point, String>> columns = new LinkedHashMap<>();
		columns.put(this.study.measure() == Study.Measure.BRIER_LM ? this.study.axis() : "model",
				(point) -> temperature ? point.series() + ", " + point.name() : point.name());
		columns.put(temperature ? "accuracy" : "BrierLM", (point) -> number(point.y()));
		columns.put("standard error", (point) -> number(point.error()));
		if (temperature) {
			columns.put("collisions", (point) -> number(point.x()));
		}
		if (idealIsKnown()) {
			columns.put("of the best possible",
					(point) -> String.format(Locale.ROOT, "%.1f %%", 100 * point.y() / this.material.idealBrierLm()));
		}
		REPORTED.forEach((column, name) -> {
			if (this.points.stream().anyMatch((point) -> point.more().containsKey(column))) {
				columns.put(name, (point) -> number(point.more().getOrDefault(column, Double.NaN)));
			}
		});
		text.append("| ").append(String.join(" | ", columns.keySet())).append(" |\n|");
		text.append("---|".repeat(columns.size())).append('\n');
		for (Point point : this.points) {
			text.append(columns.values()
				.stream()
				.map((cell) -> cell.apply(point))
				.collect(Collectors.joining(" | ", "| ", " |\n")));
		}
	}

	private void correlations(StringBuilder text) {
		text.append("\n## BrierLM and cross entropy of the baselines' checkpoints\n\n");
		text.append("![checkpoints](checkpoints.png)\n\n");
		Map<String, List<Point>> series = new LinkedHashMap<>();
		this.way.forEach((point) -> series.computeIfAbsent(point.series(), (key) -> new ArrayList<>()).add(point));
		series.forEach((name, rows) -> text.append(String.format(Locale.ROOT,
				"* %s: Pearson correlation %.3f over %d checkpoints%n", name, correlation(rows), rows.size())));
		text.append(String.format(Locale.ROOT, "* all together: %.3f%n", correlation(this.way)));
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

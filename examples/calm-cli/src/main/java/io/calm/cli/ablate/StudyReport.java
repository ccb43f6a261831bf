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

	/** Writes the report and tells its files. */
	List<Path> write(Notebook notebook) {
		List<String> files = new ArrayList<>(List.of("report.md", "results.csv", "chart.png"));
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
			files.addAll(List.of("checkpoints.csv", "checkpoints.png"));
			notebook.write("checkpoints.csv", csv(this.way));
			notebook.write("checkpoints.png", Charts.lines("BrierLM and cross entropy of the same checkpoints",
					"cross entropy, nats per token", "BrierLM at every position", this.way, false));
		}
		notebook.write("report.md", markdown());
		return files.stream().map(notebook.directory()::resolve).toList();
	}

	private static String csv(List<Point> rows) {
		Table<Point> table = new Table<Point>().column("series", Point::series)
			.column("name", Point::name)
			.column("x", (row) -> Table.exact(row.x()))
			.column("y", (row) -> Table.exact(row.y()))
			.column("error", (row) -> Table.exact(row.error()));
		columns(rows).forEach((column) -> table.column(column, (row) -> {
			Double value = row.more().get(column);
			return (value != null) ? String.valueOf(value) : "";
		}));
		return table.csv(rows);
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
		Table<Point> table = new Table<>();
		table.column(this.study.measure() == Study.Measure.BRIER_LM ? this.study.axis() : "model",
				(point) -> temperature ? point.series() + ", " + point.name() : point.name());
		table.column(temperature ? "accuracy" : "BrierLM", (point) -> Table.number(point.y()));
		table.column("standard error", (point) -> Table.number(point.error()));
		if (temperature) {
			table.column("collisions", (point) -> Table.number(point.x()));
		}
		if (idealIsKnown()) {
			table.column("of the best possible",
					(point) -> String.format(Locale.ROOT, "%.1f %%", 100 * point.y() / this.material.idealBrierLm()));
		}
		REPORTED.forEach((column, name) -> {
			if (this.points.stream().anyMatch((point) -> point.more().containsKey(column))) {
				table.column(name, (point) -> Table.number(point.more().getOrDefault(column, Double.NaN)));
			}
		});
		text.append(table.markdown(this.points));
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

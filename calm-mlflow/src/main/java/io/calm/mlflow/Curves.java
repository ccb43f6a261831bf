package io.calm.mlflow;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.geom.Ellipse2D;
import java.awt.geom.Path2D;
import java.awt.geom.Point2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

import javax.imageio.ImageIO;

import io.calm.evaluation.BrierScore;

/**
 * The course of a few metrics, and a picture of it. Holds a bounded number of points of
 * each: when there are too many, every second one is forgotten.
 */
final class Curves {

	/** What scores are called on the server begins with this. */
	static final String EVALUATION = "evaluation/";

	private static final int MOST_POINTS = 2000;

	private static final int WIDTH = 900;

	private static final int HEIGHT = 280;

	private static final int MARGIN = 60;

	/** What a curve of one point is drawn as. */
	private static final double DOT = 8;

	private static final Color LINE = new Color(0x01, 0x94, 0xE2);

	private final Map<String, Curve> curves = new LinkedHashMap<>();

	private static final class Curve {

		private final List<double[]> points = new ArrayList<>();

		private long stride = 1;

		private long seen;

		/** A fine-tuning is scored before its first step. */
		private long lastStep = -1;

		void add(long step, double value) {
			// a training that goes on may tell of steps that were told before
			if (step <= this.lastStep || !Double.isFinite(value)) {
				return;
			}
			this.lastStep = step;
			if (this.seen++ % this.stride != 0) {
				return;
			}
			this.points.add(new double[] { step, value });
			if (this.points.size() >= MOST_POINTS) {
				for (int i = this.points.size() - 1; i > 0; i -= 2) {
					this.points.remove(i);
				}
				this.stride *= 2;
			}
		}

	}

	void add(SpoolEntry.Metrics metrics) {
		metrics.values().forEach((name, value) -> {
			if (isShown(name)) {
				this.curves.computeIfAbsent(metrics.run() + ", " + name, (title) -> new Curve())
					.add(metrics.step(), value);
			}
		});
	}

	private static boolean isShown(String name) {
		return name.equals("loss") || name.equals(EVALUATION + BrierScore.BRIER_LM)
				|| name.equals(EVALUATION + "accuracy");
	}

	int points() {
		return this.curves.values().stream().mapToInt((curve) -> curve.points.size()).sum();
	}

	/** Writes a PNG, one curve below the other; needs no display. */
	void write(Path file) throws IOException {
		BufferedImage image = new BufferedImage(WIDTH, HEIGHT * Math.max(1, this.curves.size()),
				BufferedImage.TYPE_INT_RGB);
		Graphics2D graphics = image.createGraphics();
		graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
		graphics.setColor(Color.WHITE);
		graphics.fillRect(0, 0, image.getWidth(), image.getHeight());
		for (Map.Entry<String, Curve> curve : this.curves.entrySet()) {
			draw(graphics, curve.getKey(), curve.getValue().points);
			graphics.translate(0, HEIGHT);
		}
		graphics.dispose();
		if (!ImageIO.write(image, "png", file.toFile())) {
			throw new IOException("this JVM writes no PNG");
		}
	}

	private static void draw(Graphics2D graphics, String title, List<double[]> points) {
		if (points.isEmpty()) {
			return;
		}
		double firstStep = points.get(0)[0];
		double lastStep = points.get(points.size() - 1)[0];
		double least = points.stream().mapToDouble((point) -> point[1]).min().orElse(0);
		double greatest = points.stream().mapToDouble((point) -> point[1]).max().orElse(0);
		int width = WIDTH - 2 * MARGIN;
		int height = HEIGHT - 2 * MARGIN;
		graphics.setColor(Color.LIGHT_GRAY);
		graphics.drawRect(MARGIN, MARGIN, width, height);
		graphics.setColor(LINE);
		graphics.setStroke(new BasicStroke(1.5f));
		Path2D path = new Path2D.Double();
		for (double[] point : points) {
			// a single step, or a value that does not change, is in the middle
			double x = MARGIN
					+ width * ((lastStep > firstStep) ? (point[0] - firstStep) / (lastStep - firstStep) : 0.5);
			double y = MARGIN + height - height * ((greatest > least) ? (point[1] - least) / (greatest - least) : 0.5);
			if (path.getCurrentPoint() == null) {
				path.moveTo(x, y);
			}
			path.lineTo(x, y);
		}
		graphics.draw(path);
		if (points.size() == 1) {
			Point2D only = path.getCurrentPoint();
			graphics.fill(new Ellipse2D.Double(only.getX() - DOT / 2, only.getY() - DOT / 2, DOT, DOT));
		}
		graphics.setColor(Color.DARK_GRAY);
		graphics.drawString(title, MARGIN, MARGIN - 12);
		graphics.drawString(String.format(Locale.ROOT, "%.4g", greatest), 4,
				MARGIN + ((greatest > least) ? 6 : height / 2));
		if (greatest > least) {
			graphics.drawString(String.format(Locale.ROOT, "%.4g", least), 4, MARGIN + height);
		}
		if (lastStep > firstStep) {
			graphics.drawString("step " + (long) firstStep, MARGIN, MARGIN + height + 18);
			graphics.drawString("step " + (long) lastStep, MARGIN + width - 60, MARGIN + height + 18);
		}
		else {
			graphics.drawString("step " + (long) lastStep, MARGIN + width / 2 - 25, MARGIN + height + 18);
		}
	}

}

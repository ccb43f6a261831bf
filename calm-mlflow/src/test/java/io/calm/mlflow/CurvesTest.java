package io.calm.mlflow;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

import javax.imageio.ImageIO;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

class CurvesTest {

	private static final String RUN = "language-model";

	private final Curves curves = new Curves();

	private void add(long step, String name, double value) {
		this.curves.add(new SpoolEntry.Metrics(RUN, step, step, Map.of(name, value)));
	}

	/**
	 * How many pixels have the colour of a curve, by row of the picture's upper curve.
	 */
	private int[] drawn(Path directory) throws IOException {
		Path file = directory.resolve("curves.png");
		this.curves.write(file);
		BufferedImage image = ImageIO.read(file.toFile());
		int[] rows = new int[280];
		for (int y = 0; y < rows.length; y++) {
			for (int x = 0; x < image.getWidth(); x++) {
				Color color = new Color(image.getRGB(x, y));
				if (color.getBlue() > 150 && color.getRed() < 100) {
					rows[y]++;
				}
			}
		}
		return rows;
	}

	@Test
	void numberOfPointsIsBounded() {
		for (long step = 1; step <= 100_000; step++) {
			add(step, "loss", 1.0 / step);
			add(step, "kl", 0.5);
		}
		assertThat(this.curves.points()).isBetween(1000, 2000);
	}

	@Test
	void onlyPointIsADotInTheMiddle(@TempDir Path directory) throws IOException {
		add(500, "evaluation/brier_lm", 7.5);
		int[] rows = drawn(directory);
		assertThat(rows[140]).isBetween(6, 10);
		assertThat(rows[137]).isPositive();
		assertThat(rows[143]).isPositive();
		assertThat(rows[130]).isZero();
		assertThat(rows[150]).isZero();
	}

	@Test
	void curveGoesFromItsFirstStepToItsLast(@TempDir Path directory) throws IOException {
		add(1, "loss", 2);
		add(2, "loss", 1);
		int[] rows = drawn(directory);
		// a straight line from the upper left corner to the lower right one, 780 by 160
		for (int y = 65; y < 215; y++) {
			assertThat(rows[y]).as("row " + y).isBetween(4, 8);
		}
	}

	@Test
	void valueThatDoesNotChangeIsALineInTheMiddle(@TempDir Path directory) throws IOException {
		add(1, "loss", 2);
		add(2, "loss", 2);
		assertThat(drawn(directory)[140]).isGreaterThan(700);
	}

}

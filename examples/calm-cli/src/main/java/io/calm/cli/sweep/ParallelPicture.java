package io.calm.cli.sweep;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.Shape;
import java.awt.geom.Line2D;
import java.awt.geom.Path2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

import javax.imageio.ImageIO;

/**
 * Parallel coordinates: an axis for each parameter and one for the score, and a line
 * through them for each trial, in the colour of its score.
 */
final class ParallelPicture {

	private static final int HEIGHT = 560;

	private static final int TOP = 70;

	private static final int BOTTOM = 100;

	private static final int SIDE = 110;

	private static final int BETWEEN = 170;

	/**
	 * From the worst score to the best; their brightness falls, for those who see no
	 * colours.
	 */
	private static final Color[] SCALE = { new Color(0xE8C547), new Color(0x5FB98B), new Color(0x2A788E),
			new Color(0x3B2F75) };

	private static final BasicStroke WHOLE = new BasicStroke(2.4f, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND);

	private static final BasicStroke STOPPED = new BasicStroke(1.3f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 1,
			new float[] { 6, 4 }, 0);

	static {
		// no window is ever opened
		System.setProperty("java.awt.headless", "true");
	}

	/**
	 * A line of the picture.
	 *
	 * @param values on the axes, the score last
	 * @param whole whether it is of a trial that was trained to its end
	 */
	record Line(List<String> values, boolean whole) {
	}

	private ParallelPicture() {
	}

	/**
	 * Draws lines.
	 * @param title above the picture
	 * @param axes from left to right, the score's last
	 * @param lines the best one first
	 * @return a PNG
	 */
	static byte[] of(String title, List<Axis> axes, List<Line> lines) {
		int width = 2 * SIDE + BETWEEN * (axes.size() - 1);
		BufferedImage image = new BufferedImage(Math.max(width, 560), HEIGHT, BufferedImage.TYPE_INT_RGB);
		Graphics2D graphics = image.createGraphics();
		graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
		graphics.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
		graphics.setColor(Color.WHITE);
		graphics.fillRect(0, 0, image.getWidth(), image.getHeight());
		graphics.setColor(Color.DARK_GRAY);
		graphics.setFont(new Font(Font.SANS_SERIF, Font.BOLD, 16));
		graphics.drawString(title, SIDE / 4, 32);
		Axis score = axes.get(axes.size() - 1);
		// the best one on top
		List<Line> worstFirst = new ArrayList<>(lines);
		Collections.reverse(worstFirst);
		worstFirst.forEach((line) -> draw(graphics, axes, line, score));
		graphics.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
		for (int i = 0; i < axes.size(); i++) {
			draw(graphics, axes.get(i), x(i));
		}
		explain(graphics, lines);
		graphics.dispose();
		ByteArrayOutputStream png = new ByteArrayOutputStream();
		try {
			ImageIO.write(image, "png", png);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		return png.toByteArray();
	}

	private static double x(int axis) {
		return SIDE + (double) BETWEEN * axis;
	}

	private static double y(double place) {
		return HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM);
	}

	private static void draw(Graphics2D graphics, List<Axis> axes, Line line, Axis score) {
		graphics.setColor(color(score.place(line.values().get(axes.size() - 1))));
		graphics.setStroke(line.whole() ? WHOLE : STOPPED);
		Path2D path = new Path2D.Double();
		for (int i = 0; i < axes.size(); i++) {
			double y = y(axes.get(i).place(line.values().get(i)));
			if (i == 0) {
				path.moveTo(x(i), y);
			}
			else {
				// level at each axis, so that lines that meet there can be followed
				double middle = (x(i - 1) + x(i)) / 2;
				path.curveTo(middle, path.getCurrentPoint().getY(), middle, y, x(i), y);
			}
		}
		graphics.draw(path);
	}

	private static void draw(Graphics2D graphics, Axis axis, double x) {
		graphics.setStroke(new BasicStroke(1.5f));
		graphics.setColor(Color.DARK_GRAY);
		graphics.draw(new Line2D.Double(x, y(0), x, y(1)));
		for (Map.Entry<String, Double> tick : axis.ticks().entrySet()) {
			double y = y(tick.getValue());
			graphics.draw(new Line2D.Double(x - 4, y, x + 4, y));
			write(graphics, tick.getKey(), x + 8, y + 5);
		}
		int width = graphics.getFontMetrics().stringWidth(axis.title());
		graphics.drawString(axis.title(), (int) x - width / 2, (int) y(0) + 28);
	}

	/** With a rim, as lines run below it. */
	private static void write(Graphics2D graphics, String text, double x, double y) {
		Shape letters = graphics.getFont()
			.createGlyphVector(graphics.getFontRenderContext(), text)
			.getOutline((float) x, (float) y);
		graphics.setColor(Color.WHITE);
		graphics.setStroke(new BasicStroke(4, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
		graphics.draw(letters);
		graphics.setColor(Color.DARK_GRAY);
		graphics.setStroke(new BasicStroke(1.5f));
		graphics.fill(letters);
	}

	private static void explain(Graphics2D graphics, List<Line> lines) {
		if (lines.stream().allMatch(Line::whole)) {
			return;
		}
		int y = HEIGHT - 26;
		graphics.setColor(SCALE[2]);
		graphics.setStroke(WHOLE);
		graphics.draw(new Line2D.Double(SIDE / 4.0, y - 4, SIDE / 4.0 + 40, y - 4));
		graphics.setStroke(STOPPED);
		graphics.draw(new Line2D.Double(SIDE / 4.0 + 200, y - 4, SIDE / 4.0 + 240, y - 4));
		graphics.setColor(Color.DARK_GRAY);
		graphics.drawString("trained to its end", SIDE / 4 + 48, y);
		graphics.drawString("stopped before, with its score then", SIDE / 4 + 248, y);
	}

	/** Of a place on the score's axis. */
	private static Color color(double place) {
		double position = Math.min(1, Math.max(0, place)) * (SCALE.length - 1);
		int below = Math.min(SCALE.length - 2, (int) position);
		double share = position - below;
		Color from = SCALE[below];
		Color to = SCALE[below + 1];
		return new Color(mix(from.getRed(), to.getRed(), share), mix(from.getGreen(), to.getGreen(), share),
				mix(from.getBlue(), to.getBlue(), share));
	}

	private static int mix(int from, int to, double share) {
		return (int) Math.round(from + share * (to - from));
	}

}

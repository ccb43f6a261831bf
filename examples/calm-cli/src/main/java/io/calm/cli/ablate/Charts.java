package io.calm.cli.ablate;

import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import io.calm.input.InvalidInputException;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.CategorySeries;
import org.knowm.xchart.CategorySeries.CategorySeriesRenderStyle;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Pictures of results, with their standard errors. */
final class Charts {

	private static final int WIDTH = 900;

	private static final int HEIGHT = 540;

	/** Told apart also by those who see colours differently (Okabe and Ito). */
	private static final Color[] COLORS = { new Color(0x0072B2), new Color(0xE69F00), new Color(0x009E73),
			new Color(0xCC79A7), new Color(0xD55E00), new Color(0x56B4E9) };

	static {
		// no window is ever opened
		System.setProperty("java.awt.headless", "true");
	}

	private Charts() {
	}

	/**
	 * A bar for each point.
	 * @param ideal the best possible value, drawn as a line; NaN for none
	 */
	static void bars(String title, String axis, List<Point> points, double ideal, Path file) {
		CategoryChart chart = new CategoryChartBuilder().width(WIDTH)
			.height(HEIGHT)
			.title(title)
			.xAxisTitle(axis)
			.yAxisTitle("BrierLM")
			.build();
		List<String> names = points.stream().map(Point::name).toList();
		chart.addSeries("measured, \u00b1 standard error", names, points.stream().map(Point::y).toList(),
				points.stream().map((point) -> finite(point.error())).toList());
		double highest = points.stream().mapToDouble((point) -> point.y() + finite(point.error())).max().orElse(1);
		if (!Double.isNaN(ideal)) {
			CategorySeries line = chart.addSeries("best possible", names, Collections.nCopies(points.size(), ideal));
			line.setChartCategorySeriesRenderStyle(CategorySeriesRenderStyle.Line);
			line.setMarker(SeriesMarkers.NONE);
			highest = Math.max(highest, ideal);
		}
		style(chart.getStyler());
		chart.getStyler()
			.setAvailableSpaceFill(0.55)
			.setOverlapped(true)
			.setYAxisMin(0.0)
			.setYAxisMax(Math.max(1e-3, 1.08 * highest));
		save(chart, file);
	}

	/** A line through the points of each series. */
	static void lines(String title, String xAxis, String yAxis, List<Point> points, boolean logarithmic, Path file) {
		XYChart chart = new XYChartBuilder().width(WIDTH)
			.height(HEIGHT)
			.title(title)
			.xAxisTitle(xAxis)
			.yAxisTitle(yAxis + ", \u00b1 standard error")
			.build();
		Map<String, List<Point>> series = new LinkedHashMap<>();
		points.forEach((point) -> series.computeIfAbsent(point.series(), (name) -> new ArrayList<>()).add(point));
		series.forEach((name, of) -> chart.addSeries(name, of.stream().mapToDouble(Point::x).toArray(),
				of.stream().mapToDouble(Point::y).toArray(),
				of.stream().mapToDouble((point) -> finite(point.error())).toArray()));
		style(chart.getStyler());
		chart.getStyler().setXAxisLogarithmic(logarithmic).setMarkerSize(7);
		save(chart, file);
	}

	private static double finite(double error) {
		return Double.isFinite(error) ? error : 0;
	}

	private static void style(AxesChartStyler styler) {
		styler.setSeriesColors(COLORS);
		styler.setErrorBarsColor(Color.DARK_GRAY);
		styler.setChartBackgroundColor(Color.WHITE);
		styler.setPlotBorderVisible(false);
		styler.setLegendPosition(LegendPosition.OutsideS);
		styler.setLegendBorderColor(Color.WHITE);
		styler.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 16));
		styler.setChartPadding(14);
		styler.setPlotGridLinesColor(new Color(0xDDDDDD));
	}

	private static void save(Chart<?, ?> chart, Path file) {
		try {
			ByteArrayOutputStream png = new ByteArrayOutputStream();
			BitmapEncoder.saveBitmap(chart, png, BitmapFormat.PNG);
			Files.write(file, png.toByteArray());
		}
		catch (IOException ex) {
			throw new InvalidInputException(file.toString(), "cannot be written (" + ex + ")",
					"check the free space and the permissions there, and start the same study again", ex);
		}
	}

}

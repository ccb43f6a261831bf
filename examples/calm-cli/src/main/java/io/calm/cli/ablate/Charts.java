package io.calm.cli.ablate;

import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.DoubleSummaryStatistics;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;

import org.knowm.xchart.AnnotationText;
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
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Pictures of results, with their standard errors, as PNG. */
final class Charts {

	private static final int WIDTH = 900;

	private static final int HEIGHT = 540;

	/** A line of so many points has a name at each. */
	private static final int FEW = 4;

	/** Of a picture's width and height, what a name takes. */
	private static final double NAME_WIDTH = 0.09;

	private static final double NAME_HEIGHT = 0.05;

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
	static byte[] bars(String title, String axis, List<Point> points, double ideal) {
		CategoryChart chart = new CategoryChartBuilder().width(WIDTH)
			.height(HEIGHT)
			.title(title)
			.xAxisTitle(axis)
			.yAxisTitle("BrierLM")
			.build();
		List<String> names = points.stream().map(Point::name).toList();
		chart.addSeries("measured, \u00b1 standard error", names, points.stream().map(Point::y).toList(),
				points.stream().map(Charts::error).toList());
		double highest = highest(points);
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
		return png(chart);
	}

	/** A line through the points of each series, with names at some of them. */
	static byte[] lines(String title, String xAxis, String yAxis, List<Point> points, boolean logarithmic) {
		XYChart chart = new XYChartBuilder().width(WIDTH)
			.height(HEIGHT)
			.title(title)
			.xAxisTitle(xAxis)
			.yAxisTitle(yAxis + ", \u00b1 standard error")
			.build();
		Map<String, List<Point>> series = new LinkedHashMap<>();
		points.forEach((point) -> series.computeIfAbsent(point.series(), (name) -> new ArrayList<>()).add(point));
		series.forEach((name, of) -> chart.addSeries(name, of.stream().mapToDouble(Point::x).toArray(),
				of.stream().mapToDouble(Point::y).toArray(), of.stream().mapToDouble(Charts::error).toArray()));
		style(chart.getStyler());
		double height = Math.max(1e-3, 1.12 * highest(points));
		chart.getStyler().setXAxisLogarithmic(logarithmic).setYAxisMin(0.0).setYAxisMax(height);
		chart.getStyler().setMarkerSize(7).setAnnotationTextFont(new Font(Font.SANS_SERIF, Font.PLAIN, 11));
		nameSome(chart, List.copyOf(series.values()), logarithmic, height);
		return png(chart);
	}

	/**
	 * Writes names above the points at both ends of a line, or above all where they are
	 * few, and leaves out those that would cover another.
	 */
	private static void nameSome(XYChart chart, List<List<Point>> series, boolean logarithmic, double height) {
		DoubleUnaryOperator scale = logarithmic ? Math::log : DoubleUnaryOperator.identity();
		DoubleSummaryStatistics xs = series.stream()
			.flatMap(List::stream)
			.mapToDouble((point) -> scale.applyAsDouble(point.x()))
			.summaryStatistics();
		double width = xs.getMax() - xs.getMin();
		List<Point> named = new ArrayList<>();
		for (List<Point> line : series) {
			for (int i = 0; i < line.size(); i++) {
				Point point = line.get(i);
				boolean wanted = line.size() <= FEW || i == 0 || i == line.size() - 1;
				if (wanted && named.stream()
					.noneMatch((other) -> Math
						.abs(scale.applyAsDouble(other.x()) - scale.applyAsDouble(point.x())) < NAME_WIDTH * width
							&& Math.abs(other.y() - point.y()) < NAME_HEIGHT * height)) {
					named.add(point);
					chart.addAnnotation(new AnnotationText(point.name(), point.x(),
							point.y() + error(point) + NAME_HEIGHT / 2 * height, false));
				}
			}
		}
	}

	private static double highest(List<Point> points) {
		return points.stream().mapToDouble((point) -> point.y() + error(point)).max().orElse(1);
	}

	private static double error(Point point) {
		return Double.isFinite(point.error()) ? point.error() : 0;
	}

	private static void style(AxesChartStyler styler) {
		styler.setSeriesColors(COLORS);
		styler.setYAxisDecimalPattern("0.###");
		styler.setErrorBarsColor(Color.DARK_GRAY);
		styler.setChartBackgroundColor(Color.WHITE);
		styler.setPlotBorderVisible(false);
		styler.setLegendPosition(LegendPosition.OutsideS);
		styler.setLegendLayout(LegendLayout.Horizontal);
		styler.setLegendBorderColor(Color.WHITE);
		styler.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 16));
		styler.setChartPadding(14);
		styler.setPlotGridLinesColor(new Color(0xDDDDDD));
	}

	private static byte[] png(Chart<?, ?> chart) {
		ByteArrayOutputStream png = new ByteArrayOutputStream();
		try {
			BitmapEncoder.saveBitmap(chart, png, BitmapFormat.PNG);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		return png.toByteArray();
	}

}

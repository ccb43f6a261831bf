package io.calm.cli;

import java.awt.Color;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.style.CategoryStyler;

/** How many documents have which length, as PNG: a bar for each doubling. */
final class LengthPicture {

	static {
		// no window is ever opened
		System.setProperty("java.awt.headless", "true");
	}

	private LengthPicture() {
	}

	/**
	 * Draws the lengths of documents.
	 * @param lengths at least one, none of them 0
	 * @param unit of the lengths
	 * @return a PNG
	 */
	static byte[] of(long[] lengths, String unit) {
		long[] counts = counts(lengths);
		int first = 0;
		while (counts[first] == 0) {
			first++;
		}
		List<String> names = new ArrayList<>();
		List<Long> heights = new ArrayList<>();
		for (int i = first; i < counts.length; i++) {
			names.add(name(1L << i));
			heights.add(counts[i]);
		}
		CategoryChart chart = new CategoryChartBuilder().width(900)
			.height(540)
			.title("Lengths of " + lengths.length + " documents")
			.xAxisTitle(unit + ", from this number to twice as many")
			.yAxisTitle("documents")
			.build();
		chart.addSeries("documents", names, heights);
		CategoryStyler styler = chart.getStyler();
		styler.setAvailableSpaceFill(0.9);
		styler.setLegendVisible(false);
		styler.setYAxisMin(0.0);
		styler.setYAxisDecimalPattern("#,###");
		styler.setSeriesColors(new Color[] { new Color(0x0072B2) });
		styler.setChartBackgroundColor(Color.WHITE);
		styler.setPlotBorderVisible(false);
		styler.setPlotGridLinesColor(new Color(0xDDDDDD));
		ByteArrayOutputStream png = new ByteArrayOutputStream();
		try {
			BitmapEncoder.saveBitmap(chart, png, BitmapFormat.PNG);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		return png.toByteArray();
	}

	/** By the logarithm to base 2. */
	private static long[] counts(long[] lengths) {
		long[] counts = new long[Long.SIZE];
		int last = 0;
		for (long length : lengths) {
			int bin = Long.SIZE - 1 - Long.numberOfLeadingZeros(Math.max(1, length));
			counts[bin]++;
			last = Math.max(last, bin);
		}
		return Arrays.copyOf(counts, last + 1);
	}

	private static String name(long length) {
		return (length < 1024) ? String.valueOf(length)
				: (length < 1 << 20) ? (length >> 10) + " Ki" : (length >> 20) + " Mi";
	}

}

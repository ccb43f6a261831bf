package io.calm.mlflow;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The machine's NVIDIA GPUs, as {@code nvidia-smi} of their driver sees them. Where there
 * is none, or it does not answer in time, it is asked once and never again.
 */
final class NvidiaGpus {

	private static final List<String> COMMAND = List.of("nvidia-smi",
			"--query-gpu=index,utilization.gpu,memory.used,memory.total,power.draw,enforced.power.limit",
			"--format=csv,noheader,nounits");

	private static final Duration PATIENCE = Duration.ofSeconds(3);

	/** Some thousand GPUs; it fits into a pipe, so that the process can end unread. */
	private static final int LONGEST_ANSWER = 1 << 16;

	private static final double MEBIBYTE = 1 << 20;

	private static final double MEGABYTE = 1e6;

	private static final Logger LOG = LoggerFactory.getLogger(NvidiaGpus.class);

	private final List<String> command;

	private final Duration patience;

	private boolean asked;

	private boolean answered;

	NvidiaGpus() {
		this(COMMAND, PATIENCE);
	}

	NvidiaGpus(List<String> command, Duration patience) {
		this.command = command;
		this.patience = patience;
	}

	/** Empty where there are none. */
	Map<String, Double> now() {
		if (this.asked && !this.answered) {
			return Map.of();
		}
		this.asked = true;
		this.answered = false;
		Map<String, Double> metrics = new LinkedHashMap<>();
		ask().lines().forEach((line) -> {
			String[] columns = line.split(",", -1);
			if (columns.length == 6) {
				this.answered = true;
				gpu(metrics, "system/gpu_" + columns[0].strip() + "_", columns);
			}
		});
		return metrics;
	}

	/** Under the names, and in the units, of MLflow's own monitor. */
	private static void gpu(Map<String, Double> metrics, String prefix, String[] columns) {
		double memory = number(columns[2]);
		double power = number(columns[4]);
		put(metrics, prefix + "utilization_percentage", number(columns[1]));
		put(metrics, prefix + "memory_usage_megabytes", memory * MEBIBYTE / MEGABYTE);
		put(metrics, prefix + "memory_usage_percentage", 100 * memory / number(columns[3]));
		put(metrics, prefix + "power_usage_watts", power);
		put(metrics, prefix + "power_usage_percentage", 100 * power / number(columns[5]));
	}

	private static void put(Map<String, Double> metrics, String name, double value) {
		if (Double.isFinite(value)) {
			metrics.put(name, value);
		}
	}

	/** Not every GPU knows everything: then it says {@code [N/A]}. */
	private static double number(String column) {
		try {
			return Double.parseDouble(column.strip());
		}
		catch (NumberFormatException ex) {
			return Double.NaN;
		}
	}

	private String ask() {
		Process process;
		try {
			process = new ProcessBuilder(this.command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
		}
		catch (IOException ex) {
			// there is no such program, and so no such GPU
			return "";
		}
		try (InputStream out = process.getInputStream()) {
			process.getOutputStream().close();
			if (!process.waitFor(this.patience.toMillis(), TimeUnit.MILLISECONDS)) {
				LOG.info("{} does not answer: no metrics of GPUs", this.command.get(0));
				return "";
			}
			// it also says on this stream that it has failed
			return (process.exitValue() == 0) ? new String(out.readNBytes(LONGEST_ANSWER), StandardCharsets.US_ASCII)
					: "";
		}
		catch (IOException ex) {
			return "";
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			return "";
		}
		finally {
			process.destroyForcibly();
		}
	}

}

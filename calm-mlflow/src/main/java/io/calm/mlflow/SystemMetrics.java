package io.calm.mlflow;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryUsage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;

import com.sun.management.OperatingSystemMXBean;

/**
 * Processor, memory and GPUs, under the names MLflow's own monitor uses where it has
 * them.
 */
final class SystemMetrics {

	private static final double MEGABYTE = 1e6;

	private static final double KIBIBYTE = 1024;

	private static final Path PROCESS = Path.of("/proc/self/status");

	private static final String RESIDENT = "VmRSS:";

	private final NvidiaGpus gpus;

	SystemMetrics(NvidiaGpus gpus) {
		this.gpus = gpus;
	}

	/** Takes some tens of milliseconds where there is a GPU. */
	Map<String, Double> now() {
		Map<String, Double> metrics = new LinkedHashMap<>();
		if (ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system) {
			share(metrics, "system/cpu_utilization_percentage", system.getCpuLoad());
			share(metrics, "system/process_cpu_percentage", system.getProcessCpuLoad());
			long used = system.getTotalMemorySize() - system.getFreeMemorySize();
			metrics.put("system/system_memory_usage_megabytes", used / MEGABYTE);
		}
		residentMemory(metrics);
		MemoryUsage heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
		metrics.put("system/jvm_heap_used_megabytes", heap.getUsed() / MEGABYTE);
		metrics.put("system/jvm_heap_committed_megabytes", heap.getCommitted() / MEGABYTE);
		metrics.putAll(this.gpus.now());
		return metrics;
	}

	/** Native memory included, which is most of it; the JVM does not know, Linux does. */
	private static void residentMemory(Map<String, Double> metrics) {
		try (Stream<String> lines = Files.lines(PROCESS)) {
			lines.filter((line) -> line.startsWith(RESIDENT))
				.findFirst()
				.map((line) -> line.substring(RESIDENT.length()).replace("kB", "").strip())
				.ifPresent((kibibytes) -> metrics.put("system/process_memory_usage_megabytes",
						Double.parseDouble(kibibytes) * KIBIBYTE / MEGABYTE));
		}
		catch (IOException | UncheckedIOException | NumberFormatException ex) {
			// another system
		}
	}

	/** The JVM says less than 0 for what it does not know. */
	private static void share(Map<String, Double> metrics, String name, double share) {
		if (share >= 0) {
			metrics.put(name, 100 * share);
		}
	}

}

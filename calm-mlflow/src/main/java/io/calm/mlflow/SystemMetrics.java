package io.calm.mlflow;

import java.lang.management.ManagementFactory;
import java.lang.management.MemoryUsage;
import java.util.LinkedHashMap;
import java.util.Map;

import com.sun.management.OperatingSystemMXBean;

/** Processor and memory, under the names MLflow's own monitor uses where it has them. */
final class SystemMetrics {

	private static final double MEGABYTE = 1e6;

	private SystemMetrics() {
	}

	static Map<String, Double> now() {
		Map<String, Double> metrics = new LinkedHashMap<>();
		if (ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system) {
			share(metrics, "system/cpu_utilization_percentage", system.getCpuLoad());
			share(metrics, "system/process_cpu_percentage", system.getProcessCpuLoad());
			long used = system.getTotalMemorySize() - system.getFreeMemorySize();
			metrics.put("system/system_memory_usage_megabytes", used / MEGABYTE);
			metrics.put("system/process_virtual_memory_megabytes", system.getCommittedVirtualMemorySize() / MEGABYTE);
		}
		MemoryUsage heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
		metrics.put("system/jvm_heap_used_megabytes", heap.getUsed() / MEGABYTE);
		metrics.put("system/jvm_heap_committed_megabytes", heap.getCommitted() / MEGABYTE);
		return metrics;
	}

	/** The JVM says less than 0 for what it does not know. */
	private static void share(Map<String, Double> metrics, String name, double share) {
		if (share >= 0) {
			metrics.put(name, 100 * share);
		}
	}

}

package io.calm.mlflow;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Programs that say what {@code nvidia-smi} says, or fail as it does.
 */
@EnabledOnOs({ OS.LINUX, OS.MAC })
class NvidiaGpusTest {

	private final Path directory;

	NvidiaGpusTest(@TempDir Path directory) {
		this.directory = directory;
	}

	private NvidiaGpus saying(String... commands) throws IOException {
		String count = "echo x >> '" + this.directory.resolve("calls") + "'\n";
		Path program = Files.writeString(this.directory.resolve("smi"), count + String.join("\n", commands) + "\n");
		return new NvidiaGpus(List.of("/bin/sh", program.toString()), Duration.ofSeconds(2));
	}

	private int calls() throws IOException {
		return Files.readAllLines(this.directory.resolve("calls")).size();
	}

	@Test
	void eachGpuHasItsMetrics() throws IOException {
		NvidiaGpus gpus = saying("echo '0, 37, 2000, 80000, 175.25, 700.00'", "echo '1, 0, 4, 16, [N/A], [N/A]'");
		for (int i = 0; i < 2; i++) {
			assertThat(gpus.now()).isEqualTo(Map.of("system/gpu_0_utilization_percentage", 37.0,
					"system/gpu_0_memory_usage_megabytes", 2000 * 1.048576, "system/gpu_0_memory_usage_percentage", 2.5,
					"system/gpu_0_power_usage_watts", 175.25, "system/gpu_0_power_usage_percentage", 100 * 175.25 / 700,
					"system/gpu_1_utilization_percentage", 0.0, "system/gpu_1_memory_usage_megabytes", 4 * 1.048576,
					"system/gpu_1_memory_usage_percentage", 25.0));
		}
		assertThat(calls()).isEqualTo(2);
	}

	@Test
	void whereThereIsNoneNothingIsSaid() {
		NvidiaGpus gpus = new NvidiaGpus(List.of(this.directory.resolve("missing").toString()), Duration.ofSeconds(2));
		assertThat(gpus.now()).isEmpty();
		assertThat(gpus.now()).isEmpty();
	}

	@Test
	void driverThatFailsIsAskedOnce() throws IOException {
		NvidiaGpus gpus = saying("echo 'NVIDIA-SMI has failed, because it could not communicate, with, the, driver'",
				"exit 9");
		assertThat(gpus.now()).isEmpty();
		assertThat(gpus.now()).isEmpty();
		assertThat(calls()).isEqualTo(1);
	}

	@Test
	void driverThatHangsIsAskedOnce() throws IOException {
		// it would hang for longer than the build may take
		NvidiaGpus gpus = saying("exec sleep 100000");
		assertThat(gpus.now()).isEmpty();
		assertThat(gpus.now()).isEmpty();
		assertThat(calls()).isEqualTo(1);
	}

}

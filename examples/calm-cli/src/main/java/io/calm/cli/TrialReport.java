package io.calm.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.stream.Stream;

import io.calm.TrainingTrial;
import io.calm.training.Trial;

/** What a training would cost, as a report. */
final class TrialReport {

	private static final Path STATUS = Path.of("/proc/self/status");

	private TrialReport() {
	}

	static Report of(TrainingTrial trial, Path output) {
		Report report = new Report().put("output", output.toString())
			.put("documents", trial.documents())
			.put("tokens", trial.tokens());
		double seconds = 0;
		for (Trial phase : trial.phases()) {
			report.put(phase.phase().toString(), phase(phase));
			seconds += phase.seconds();
		}
		report.put("minutes", seconds / 60);
		peakMegabytes().ifPresent((megabytes) -> report.put("peakMegabytes", megabytes));
		return report;
	}

	private static Report phase(Trial phase) {
		return new Report().put("model", Report.of(phase.configuration()))
			.put("parameters", phase.parameters())
			.put("stateMegabytes", phase.stateBytes() / 1e6)
			.put("steps", phase.steps())
			.put("stepsPerEpoch", phase.stepsPerEpoch())
			.put("epochs", phase.steps() / phase.stepsPerEpoch())
			.put("firstStepSeconds", phase.firstStepSeconds())
			.put("secondsPerStep", phase.secondsPerStep())
			.put("minutes", phase.seconds() / 60);
	}

	/** The most memory that this process has had, where the system tells. */
	private static OptionalLong peakMegabytes() {
		try (Stream<String> lines = Files.lines(STATUS)) {
			return lines.filter((line) -> line.toLowerCase(Locale.ROOT).startsWith("vmhwm:"))
				.mapToLong((line) -> Long.parseLong(line.replaceAll("\\D", "")) / 1000)
				.findFirst();
		}
		catch (IOException ex) {
			return OptionalLong.empty();
		}
	}

}

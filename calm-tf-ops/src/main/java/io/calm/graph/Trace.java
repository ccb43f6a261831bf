package io.calm.graph;

import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import com.google.gson.Gson;
import com.google.gson.JsonIOException;
import io.calm.input.InvalidInputException;
import org.tensorflow.proto.DeviceStepStats;
import org.tensorflow.proto.NodeExecStats;
import org.tensorflow.proto.RunMetadata;
import org.tensorflow.proto.RunOptions;

/**
 * Records which operation TensorFlow computed when, in the format of Chrome's trace
 * viewer ({@code chrome://tracing}, or Perfetto). The times are TensorFlow's own step
 * statistics. Not for several threads.
 */
public final class Trace {

	static final RunOptions OPTIONS = RunOptions.newBuilder().setTraceLevel(RunOptions.TraceLevel.FULL_TRACE).build();

	/** A node's label says {@code name = Operation(inputs)}. */
	private static final Pattern OPERATION = Pattern.compile(" = (\\w+)\\(");

	private final Path file;

	private final List<Map<String, Object>> events = new ArrayList<>();

	/** A process of the viewer is a group of calls here. */
	private int groups;

	/**
	 * A trace that is empty.
	 * @param file to be opened in the viewer; written at once, so that an error comes
	 * before what is recorded
	 * @throws InvalidInputException if it cannot be written
	 */
	public Trace(Path file) {
		if (Files.isDirectory(file)) {
			throw new InvalidInputException(file.toString(), "is a directory", "name a file for the trace");
		}
		this.file = file;
		write();
	}

	/**
	 * Begins a group of calls, which the viewer shows under its name.
	 * @param name what is computed
	 */
	public void begin(String name) {
		this.groups++;
		this.events.add(Map.of("ph", "M", "name", "process_name", "pid", this.groups, "args", Map.of("name", name)));
	}

	void add(RunMetadata metadata) {
		for (DeviceStepStats device : metadata.getStepStats().getDevStatsList()) {
			Lanes lanes = new Lanes();
			device.getNodeStatsList()
				.stream()
				.sorted(Comparator.comparingLong(NodeExecStats::getAllStartMicros))
				.forEach((node) -> this.events.add(event(node, lanes.of(node))));
		}
	}

	private Map<String, Object> event(NodeExecStats node, int lane) {
		Matcher operation = OPERATION.matcher(node.getTimelineLabel());
		return Map.of("ph", "X", "name", operation.find() ? operation.group(1) : node.getNodeName(), "pid", this.groups,
				"tid", lane, "ts", node.getAllStartMicros(), "dur", node.getAllEndRelMicros(), "args",
				Map.of("node", node.getNodeName()));
	}

	/**
	 * Writes what was recorded so far, in place of an earlier file.
	 * @throws InvalidInputException if it cannot be written
	 */
	public void write() {
		Path partial = this.file.resolveSibling(this.file.getFileName() + ".part");
		try {
			try (Writer writer = Files.newBufferedWriter(partial)) {
				new Gson().toJson(Map.of("displayTimeUnit", "ms", "traceEvents", this.events), writer);
			}
			Files.move(partial, this.file, StandardCopyOption.REPLACE_EXISTING);
		}
		catch (IOException | JsonIOException ex) {
			throw new InvalidInputException(this.file.toString(), "cannot be written (" + ex + ")",
					"check the free space and the permissions there", ex);
		}
	}

	/**
	 * On the CPU TensorFlow does not say which thread computed a node, so nodes that
	 * overlap in time get rows of their own.
	 */
	private static final class Lanes {

		private final List<Long> ends = new ArrayList<>();

		int of(NodeExecStats node) {
			long end = node.getAllStartMicros() + node.getAllEndRelMicros();
			for (int lane = 0; lane < this.ends.size(); lane++) {
				if (this.ends.get(lane) <= node.getAllStartMicros()) {
					this.ends.set(lane, end);
					return lane;
				}
			}
			this.ends.add(end);
			return this.ends.size() - 1;
		}

	}

}

package io.calm.examples.pipeline;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import io.calm.examples.quickstart.Progress;
import io.calm.training.Phase;
import io.calm.training.Sample;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingStart;
import org.jspecify.annotations.Nullable;

import org.springframework.stereotype.Component;

/**
 * The training of the model, where there is none: the console and the page follow it.
 */
@Component
final class LiveTraining implements TrainingListener {

	/** As many points as a picture of some hundred pixels can show. */
	private static final int POINTS = 200;

	private final PipelineProperties properties;

	private List<Phase> phases = List.of(Phase.AUTOENCODER, Phase.LANGUAGE_MODEL);

	private @Nullable State state;

	/** When the step before those of this process was done. */
	private long began;

	private long firstStep;

	LiveTraining(PipelineProperties properties) {
		this.properties = properties;
	}

	/**
	 * How far a training is.
	 *
	 * @param phase what is trained
	 * @param number of the phase, from 1
	 * @param phases how many there are
	 * @param step the latest
	 * @param steps of the phase; 0 before the first one
	 * @param tokensPerSecond how fast it is
	 * @param secondsLeft until the end of the phase; -1 while that is not known
	 * @param losses of the phase so far, some of them
	 * @param scores on unseen text, by name
	 * @param samples what the model wrote on its way
	 * @param failure why it failed
	 */
	record State(String phase, int number, int phases, long step, long steps, double tokensPerSecond, long secondsLeft,
			List<Point> losses, Map<String, Double> scores, List<Text> samples, @Nullable String failure) {

		State of(StepMetrics latest, long left, List<Point> known) {
			return new State(latest.phase().toString(), this.number, this.phases, latest.step(), latest.steps(),
					latest.tokensPerSecond(), left, known, this.scores, this.samples, null);
		}

		State with(Map<String, Double> known, List<Text> texts, @Nullable String why) {
			return new State(this.phase, this.number, this.phases, this.step, this.steps, this.tokensPerSecond,
					this.secondsLeft, this.losses, known, texts, why);
		}

	}

	/** The loss of a step. */
	record Point(long step, double loss) {
	}

	/** What the model wrote after a step. */
	record Text(long step, String prompt, String text) {
	}

	/** What is shown; none before a training has begun. */
	synchronized @Nullable State state() {
		return this.state;
	}

	/** Trains to the end, unless it is interrupted. */
	void run(Path output) {
		PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
		this.properties.training().model().train(output, this, new Progress(out));
	}

	@Override
	public synchronized void onTrainingStart(List<Phase> phases) {
		this.phases = phases;
	}

	@Override
	public synchronized void onStart(TrainingStart start) {
		State before = this.state;
		this.began = System.nanoTime();
		this.firstStep = start.firstStep();
		this.state = new State(start.phase().toString(), this.phases.indexOf(start.phase()) + 1, this.phases.size(),
				start.firstStep() - 1, 0, 0, -1, List.of(), (before != null) ? before.scores() : Map.of(), List.of(),
				null);
	}

	@Override
	public synchronized void onStep(StepMetrics metrics) {
		State before = this.state;
		if (before == null) {
			return;
		}
		long done = metrics.step() - this.firstStep + 1;
		// the first step takes as long as many: it compiles
		long left = (done < 5) ? -1
				: (System.nanoTime() - this.began) / done * (metrics.steps() - metrics.step()) / 1_000_000_000;
		List<Point> losses = before.losses();
		if (metrics.step() % Math.max(1, metrics.steps() / POINTS) == 0) {
			losses = new ArrayList<>(losses);
			losses.add(new Point(metrics.step(), metrics.loss()));
		}
		this.state = before.of(metrics, left, losses);
	}

	@Override
	public synchronized void onEvaluation(Phase phase, long step, Map<String, Double> scores) {
		State before = this.state;
		if (before != null) {
			this.state = before.with(join(before.scores(), scores), before.samples(), null);
		}
	}

	@Override
	public synchronized void onSamples(Phase phase, long step, List<Sample> samples) {
		State before = this.state;
		if (before != null) {
			List<Text> texts = new ArrayList<>(before.samples());
			samples.forEach((sample) -> texts.add(new Text(step, sample.prompt(), sample.text())));
			this.state = before.with(before.scores(), texts, null);
		}
	}

	/** What a failure says is shown in place of the progress. */
	synchronized void failed(Throwable failure) {
		State before = this.state;
		State shown = (before != null) ? before : new State(this.phases.get(0).toString(), 1, this.phases.size(), 0, 0,
				0, -1, List.of(), Map.of(), List.of(), null);
		this.state = shown.with(shown.scores(), shown.samples(), String.valueOf(failure.getMessage()));
	}

	private static Map<String, Double> join(Map<String, Double> first, Map<String, Double> second) {
		Map<String, Double> joined = new TreeMap<>(first);
		joined.putAll(second);
		return joined;
	}

}

package io.calm.cli.ablate;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.DoubleFunction;
import java.util.function.IntFunction;
import java.util.stream.Stream;

import io.calm.input.InvalidInputException;
import io.calm.model.ModelInput;

/**
 * A question and the models that answer it.
 *
 * @param name on the command line
 * @param question the report's title
 * @param axis what the arms differ in
 * @param measure what is measured of every arm
 * @param arms the models
 */
public record Study(String name, String question, String axis, Measure measure, List<Arm> arms) {

	/** What is measured of a model, and how it is drawn. */
	enum Measure {

		/** BrierLM, a bar for each arm. */
		BRIER_LM,
		/** BrierLM over the operations spent in training; of baselines on the way too. */
		BRIER_LM_OVER_FLOPS,
		/** Accuracy over the rate of collisions, as the temperature falls. */
		TEMPERATURE

	}

	private static final Map<String, Study> ALL = new LinkedHashMap<>();

	static {
		bars("k", "How many tokens to a patch?", "K", ints((k) -> Arm.ofAutoencoder("" + k,
				(autoencoder) -> autoencoder.patchSize(k).latentSize(32 * k).dropout(dropout(k))), 1, 2, 4, 8));
		bars("regularisation", "What makes the autoencoder's space smooth (the paper's table 2)?", "regularisation",
				Stream.of(Arm.ofAutoencoder("none", (autoencoder) -> autoencoder.klWeight(0).klClamp(0).dropout(0)),
						Arm.ofAutoencoder("KL", (autoencoder) -> autoencoder.klClamp(0).dropout(0)),
						Arm.ofAutoencoder("KL, clamped", (autoencoder) -> autoencoder.dropout(0)),
						Arm.ofAutoencoder("dropout", (autoencoder) -> autoencoder.klWeight(0).klClamp(0)),
						Arm.ofAutoencoder("all", Arm::nothing)));
		bars("samples", "How many samples does the energy loss need (table 3)?", "model samples N / target samples M",
				Stream.concat(ints((n) -> Arm.ofModel(n + " / 100", (model) -> model.samples(n)), 2, 4, 8, 16),
						ints((m) -> Arm.ofModel("8 / " + m, (model) -> model.targets(m)), 1, 10, 200)));
		bars("alpha", "Which exponent of the energy score (table 4)?", "\u03b1",
				doubles((a) -> Arm.ofModel("" + a, (model) -> model.alpha(a)), 0.5, 0.75, 1, 1.25, 1.5, 1.75));
		bars("input", "What of a patch should the model see (table 5)?", "input", Arrays.stream(ModelInput.values())
			.map((input) -> Arm.ofModel(input.name().toLowerCase(Locale.ROOT), (model) -> model.input(input))));
		bars("objective", "What should the language model learn from, may it copy, and do tokens lead?", "objective",
				Stream.of(Arm.ofModel("energy (the paper's)", (model) -> model.copySize(0).tokenLoss(0)),
						Arm.ofModel("energy + tokens", (model) -> model.copySize(0).leadTokens(0)),
						Arm.ofModel("energy, copying", (model) -> model.tokenLoss(0)),
						Arm.ofModel("energy + tokens, copying", (model) -> model.leadTokens(0)),
						Arm.ofModel("the same, lead tokens", Arm::nothing), Arm.ofBaseline()));
		bars("lead-tokens", "How many tokens of a patch should be drawn before its vector?", "A",
				ints((leads) -> Arm.ofModel("" + leads, (model) -> model.leadTokens(leads)), 0, 1, 2, 3));
		bars("vector-every", "In how many of a step's sequences should vectors be learned?", "one of",
				ints((every) -> Arm.ofModel("" + every, (model) -> model.vectorEvery(every)), 1, 2, 4, 8));
		bars("kl-weight", "How strongly to pull the posterior to the prior?", "weight of the KL term",
				doubles((weight) -> Arm.ofAutoencoder("" + weight, (autoencoder) -> autoencoder.klWeight(weight)), 0,
						1e-4, 1e-3, 1e-2, 1e-1));
		bars("latent-size", "How large a latent vector?", "l",
				ints((size) -> Arm.ofAutoencoder("" + size, (autoencoder) -> autoencoder.latentSize(size)), 8, 16, 32,
						64, 128));
		bars("head", "Which generative head?", "head",
				Stream.of(Arm.ofModel("energy", (model) -> model.energyHead(Arm::nothing)),
						Arm.ofModel("flow", (model) -> model.flowHead(Arm::nothing)),
						Arm.ofModel("diffusion", (model) -> model.diffusionHead(Arm::nothing)), Arm.ofBaseline()));
		add(new Study("temperature", "What does a low temperature buy, and what does it cost?",
				"rate of collisions, mean over n = 1..4", Measure.TEMPERATURE,
				List.of(Arm.ofModel("CALM", Arm::nothing), Arm.ofBaseline())));
		add(new Study("baseline", "BrierLM against the operations spent", "training operations",
				Measure.BRIER_LM_OVER_FLOPS,
				Stream.concat(
						ints((width) -> Arm.ofModel("CALM " + width, (model) -> model.hiddenSize(width)), 64, 128, 256),
						ints((width) -> Arm.ofBaseline("baseline " + width, (backbone) -> backbone.hiddenSize(width)),
								64, 128, 256))
					.toList()));
	}

	/**
	 * Finds a study.
	 * @param name of the study
	 * @return the study
	 * @throws InvalidInputException if there is none of that name
	 */
	public static Study named(String name) {
		Study study = ALL.get(name);
		if (study == null) {
			throw new InvalidInputException("study " + name, "is not known",
					"choose one of " + String.join(", ", ALL.keySet()));
		}
		return study;
	}

	/**
	 * The names of all studies.
	 * @return in the order of the help
	 */
	public static List<String> names() {
		return List.copyOf(ALL.keySet());
	}

	/** The paper's: 0.05, 0.1, 0.15, 0.2 for a K of 1, 2, 4, 8. */
	private static double dropout(int patchSize) {
		return 0.05 * (1 + Integer.numberOfTrailingZeros(patchSize));
	}

	private static void bars(String name, String question, String axis, Stream<Arm> arms) {
		add(new Study(name, question, axis, Measure.BRIER_LM, arms.toList()));
	}

	private static void add(Study study) {
		ALL.put(study.name(), study);
	}

	private static Stream<Arm> ints(IntFunction<Arm> arm, int... values) {
		return Arrays.stream(values).mapToObj(arm);
	}

	private static Stream<Arm> doubles(DoubleFunction<Arm> arm, double... values) {
		return Arrays.stream(values).mapToObj(arm);
	}

}

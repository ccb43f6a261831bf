package io.calm;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.input.InvalidInputException;
import io.calm.model.BackboneConfig;
import io.calm.model.BaselineConfig;
import io.calm.model.CalmConfig;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelKind;
import io.calm.model.WarmStart;
import io.calm.text.Tokenizer;
import io.calm.training.Phase;
import io.calm.training.Trainable;
import io.calm.training.TrainingOptions;
import org.jspecify.annotations.Nullable;

/**
 * What a training trains: an autoencoder and the language model over it, the language
 * model alone, or a baseline.
 *
 * @param autoencoder is trained first; null where there is one, or none is needed
 * @param model is trained then
 * @param baseAutoencoder the directory of the base's autoencoder; null without a base, or
 * where none is needed
 */
record TrainingPlan(@Nullable Part autoencoder, Part model, @Nullable Path baseAutoencoder) {

	/**
	 * A model to be trained.
	 *
	 * @param model its shape and objective
	 * @param base the directory of the model whose weights it begins with; null for
	 * random ones
	 * @param options how long and how it is trained
	 */
	record Part(Trainable model, @Nullable Path base, TrainingOptions options) {
	}

	TrainingPlan {
		if (autoencoder != null && autoencoder.options().pauses()) {
			throw new InvalidInputException("autoencoder, pause", "is after step " + autoencoder.options().pauseAfter(),
					"leave it out: only the language model may pause");
		}
	}

	/** The phases in their order. */
	List<Part> parts() {
		return (this.autoencoder != null) ? List.of(this.autoencoder, this.model) : List.of(this.model);
	}

	List<Phase> phases() {
		return parts().stream().map((part) -> part.model().phase()).toList();
	}

	/**
	 * Plans a training.
	 * @param settings of the training; its options are checked
	 * @return gives the plan for a tokenizer, and checks shapes
	 * @throws InvalidInputException if settings contradict each other
	 */
	static Function<Tokenizer, TrainingPlan> of(CalmTraining settings) {
		if (settings.base != null) {
			return ofBase(settings, settings.base);
		}
		if (settings.lowRank != null) {
			throw new InvalidInputException("LoRA", "needs a base, whose weights stay as they are",
					"give the base, or leave the rank out");
		}
		if (settings.llama != null) {
			refuseBeside("warm start", "baseline", settings.baseline != null);
			return ofCalm(settings, settings.llama);
		}
		return (settings.baseline != null) ? ofBaseline(settings, settings.baseline) : ofCalm(settings, null);
	}

	/**
	 * @param llama the directory of what the backbone begins with; null for random
	 * weights
	 */
	private static Function<Tokenizer, TrainingPlan> ofCalm(CalmTraining settings, @Nullable Path llama) {
		CalmTraining.ModelShape chosen = (settings.modelShape != null) ? settings.modelShape
				: new CalmTraining.ModelShape(null, (shape) -> {
				});
		CalmConfig.Builder shape = shape(chosen, llama);
		chosen.changes().accept(shape);
		TrainingOptions autoencoderOptions = options(settings,
				(settings.autoencoderTraining != null) ? settings.autoencoderTraining : (training) -> {
				});
		TrainingOptions modelOptions = options(settings, settings.modelTraining);
		return (tokens) -> {
			AutoencoderConfig autoencoder = autoencoder(settings, tokens);
			CalmConfig config = shape.build(autoencoder);
			if (llama != null) {
				WarmStart.check(config, ModelDirectory.open(llama));
			}
			return new TrainingPlan(new Part(Trainable.autoencoder(autoencoder), null, autoencoderOptions),
					new Part(Trainable.languageModel(config, autoencoder), llama, modelOptions), null);
		};
	}

	private static CalmConfig.Builder shape(CalmTraining.ModelShape chosen, @Nullable Path llama) {
		if (llama != null) {
			refuseBeside("warm start", "preset", chosen.preset() != null);
			return CalmConfig.over(WarmStart.backbone(ModelDirectory.open(llama)));
		}
		return CalmConfig.preset((chosen.preset() != null) ? chosen.preset() : "micro");
	}

	private static AutoencoderConfig autoencoder(CalmTraining settings, Tokenizer tokens) {
		AutoencoderConfig.Builder shape = AutoencoderConfig.builder(tokens.vocabularySize())
			.specialIds(tokens.padId(), tokens.bosId(), tokens.eosId());
		if (settings.autoencoderShape != null) {
			settings.autoencoderShape.accept(shape);
		}
		return shape.build();
	}

	private static Function<Tokenizer, TrainingPlan> ofBaseline(CalmTraining settings, CalmTraining.Baseline chosen) {
		BackboneConfig.Builder shape = BackboneConfig.preset(chosen.preset());
		chosen.shape().accept(shape);
		BackboneConfig backbone = shape.build();
		TrainingOptions options = options(settings, chosen.training());
		return (tokens) -> {
			BaselineConfig config = new BaselineConfig(tokens.vocabularySize(), backbone, tokens.padId(),
					tokens.bosId(), tokens.eosId());
			return new TrainingPlan(null, new Part(Trainable.baseline(config), null, options), null);
		};
	}

	private static Function<Tokenizer, TrainingPlan> ofBase(CalmTraining settings, Path base) {
		refuseBeside("base", "warm start", settings.llama != null);
		refuseBeside("base", "tokenizer", settings.tokenizer != null || settings.tokenizerPath != null);
		refuseBeside("base", "baseline", settings.baseline != null);
		refuseBeside("base", "autoencoder's shape", settings.autoencoderShape != null);
		refuseBeside("base", "language model's shape", settings.modelShape != null);
		ModelDirectory model = ModelDirectory.open(base);
		if (settings.lowRank != null) {
			refuseBeside("LoRA", "autoencoder", settings.autoencoderTraining != null);
			if (model.base().isPresent()) {
				throw new InvalidInputException(base.toString(), "is an adapter, to which no other can be added",
						"merge it with its base first");
			}
		}
		Function<Tokenizer, TrainingPlan> plan;
		try (TensorFile weights = model.weights()) {
			if (ModelKind.of(base, weights) == ModelKind.BASELINE) {
				refuseBeside("base", "autoencoder", settings.autoencoderTraining != null);
				plan = onWithBaseline(settings, base, ModelConfigs.baseline(model, weights));
			}
			else {
				plan = onWithCalm(settings, model, ModelConfigs.calm(model, weights));
			}
		}
		return (tokens) -> {
			ModelConfigs.checkVocabulary(model, tokens.vocabularySize());
			return plan.apply(tokens);
		};
	}

	private static Function<Tokenizer, TrainingPlan> onWithBaseline(CalmTraining settings, Path base,
			BaselineConfig config) {
		TrainingOptions options = options(settings, settings.modelTraining);
		Trainable trained = adapted(settings, Trainable.baseline(config));
		return (tokens) -> new TrainingPlan(null, new Part(trained, base, options), null);
	}

	private static Trainable adapted(CalmTraining settings, Trainable model) {
		return (settings.lowRank != null) ? model.adapted(settings.lowRank) : model;
	}

	/** The base's autoencoder is trained on only if its options are given. */
	private static Function<Tokenizer, TrainingPlan> onWithCalm(CalmTraining settings, ModelDirectory base,
			CalmConfig config) {
		ModelDirectory autoencoder = base.autoencoder()
			.orElseThrow(() -> new InvalidInputException(base.path().toString(), "has no directory autoencoder/",
					"put the directory of its autoencoder there"));
		@Nullable TrainingOptions autoencoderOptions = (settings.autoencoderTraining != null)
				? options(settings, settings.autoencoderTraining) : null;
		TrainingOptions modelOptions = options(settings, settings.modelTraining);
		return (tokens) -> {
			AutoencoderConfig shape = ModelConfigs.autoencoder(autoencoder);
			Part first = (autoencoderOptions != null)
					? new Part(Trainable.autoencoder(shape), autoencoder.path(), autoencoderOptions) : null;
			Trainable trained = adapted(settings, Trainable.languageModel(config, shape));
			return new TrainingPlan(first, new Part(trained, base.path(), modelOptions), autoencoder.path());
		};
	}

	private static void refuseBeside(String origin, String what, boolean given) {
		if (given) {
			throw new InvalidInputException(origin, "is given, and so is the " + what,
					"leave the " + what + " out: what the model begins with decides about it");
		}
	}

	private static TrainingOptions options(CalmTraining settings, Consumer<TrainingOptions.Builder> training) {
		TrainingOptions options = TrainingOptions.of(training);
		if (options.patience() > 0 && settings.unseen == null) {
			throw new InvalidInputException("training, patience",
					"is " + options.patience() + ", but there is no text to evaluate on",
					"give evaluation text, or leave the patience out");
		}
		return options;
	}

}

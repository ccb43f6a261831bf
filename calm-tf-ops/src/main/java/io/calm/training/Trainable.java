package io.calm.training;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.function.Predicate;

import io.calm.autoencoder.Autoencoder;
import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.VariationalObjective;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.cluster.Cluster;
import io.calm.graph.Draws;
import io.calm.graph.LowRank;
import io.calm.graph.Network;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.graph.Variable;
import io.calm.graph.Variables;
import io.calm.model.BaselineConfig;
import io.calm.model.BaselineTransformer;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.Flops;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelFiles;
import io.calm.model.ModelKind;
import io.calm.model.WarmStart;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link Trainer} trains: a model's shape, which of its parameters learn, and
 * their objective.
 */
public final class Trainable {

	private final Phase phase;

	private final Map<String, Object> configuration;

	private final int patchSize;

	private final int padId;

	private final Predicate<String> parameters;

	/** Those of the parameters that a pretrained Transformer has. */
	private final Predicate<String> backbone;

	private final TrainingProgram.ObjectiveFactory objective;

	/** What a token costs, for patches per sequence. */
	private final IntFunction<Flops> cost;

	/**
	 * Where the weights of what is frozen are; null where nothing is, or they are random.
	 */
	private final @Nullable Path frozen;

	/** Null where no CALM language model is trained. */
	private final @Nullable CalmConfig calm;

	/** Null where the parameters themselves learn. */
	private final @Nullable LowRank lowRank;

	private Trainable(Phase phase, Map<String, Object> configuration, int patchSize, int padId,
			Predicate<String> parameters, Predicate<String> backbone, TrainingProgram.ObjectiveFactory objective,
			IntFunction<Flops> cost, @Nullable Path frozen, @Nullable CalmConfig calm, @Nullable LowRank lowRank) {
		this.phase = phase;
		this.configuration = configuration;
		this.patchSize = patchSize;
		this.padId = padId;
		this.parameters = parameters;
		this.backbone = backbone;
		this.objective = objective;
		this.cost = cost;
		this.frozen = frozen;
		this.calm = calm;
		this.lowRank = lowRank;
	}

	/**
	 * An autoencoder of this shape (section 3 of the paper).
	 * @param config the shape
	 * @return what is trained
	 */
	public static Trainable autoencoder(AutoencoderConfig config) {
		return new Trainable(Phase.AUTOENCODER, ModelConfigs.settings(config), config.patchSize(), config.padId(),
				(name) -> name.startsWith("encoder.") || name.startsWith("decoder."), (name) -> false,
				(builder, sequences, draws) -> variational(config, builder, sequences, draws),
				(patches) -> Flops.of(config), null, null, null);
	}

	/**
	 * A CALM language model of this shape over a frozen autoencoder (section 4 of the
	 * paper). The autoencoder's weights are random, which is enough to find out what the
	 * training costs; {@link #over} names trained ones.
	 * @param config the shape
	 * @param autoencoder the shape of the autoencoder, for which the model was built
	 * @return what is trained
	 */
	public static Trainable languageModel(CalmConfig config, AutoencoderConfig autoencoder) {
		return new Trainable(Phase.LANGUAGE_MODEL, ModelConfigs.settings(config), config.patchSize(), config.padId(),
				CalmNetwork::isParameter, CalmNetwork::isBackboneParameter,
				(builder, sequences, draws) -> NextPatchObjective.of(builder, config, autoencoder, sequences, draws),
				(patches) -> Flops.of(config, autoencoder, patches), null, config, null);
	}

	/**
	 * A baseline of this shape: a Transformer that predicts the next token, as in the
	 * paper's comparisons.
	 * @param config the shape
	 * @return what is trained
	 */
	public static Trainable baseline(BaselineConfig config) {
		return new Trainable(Phase.BASELINE, ModelConfigs.settings(config), 1, config.padId(),
				BaselineTransformer::isParameter, BaselineTransformer::isBackboneParameter,
				(builder, sequences, draws) -> NextTokenObjective.of(builder, config, sequences),
				(patches) -> Flops.of(config, patches), null, null, null);
	}

	/**
	 * The same language model over a trained autoencoder.
	 * @param autoencoder the directory of an autoencoder of the shape that the model was
	 * built for
	 * @return what is trained
	 */
	public Trainable over(Path autoencoder) {
		return new Trainable(this.phase, this.configuration, this.patchSize, this.padId, this.parameters, this.backbone,
				this.objective, this.cost, autoencoder, this.calm, this.lowRank);
	}

	/**
	 * The same language model, of which an adaptation is trained in place of its weights:
	 * these are a base's, see {@link Trainer#fineTune}.
	 * @param adaptation rank and scale
	 * @return what is trained
	 */
	public Trainable adapted(LowRank adaptation) {
		return new Trainable(this.phase, this.configuration, this.patchSize, this.padId, this.parameters, this.backbone,
				this.objective, this.cost, this.frozen, this.calm, adaptation);
	}

	@Nullable LowRank lowRank() {
		return this.lowRank;
	}

	/**
	 * The phase of a training that trains this.
	 * @return the phase
	 */
	public Phase phase() {
		return this.phase;
	}

	/**
	 * What a training step costs, if it is not known how much of it is PAD: none.
	 * @param options of the training
	 * @return additions and multiplications, of matrix products only
	 */
	public double flopsPerStep(TrainingOptions options) {
		double tokens = (double) options.accumulation() * options.batch() * options.patches() * this.patchSize;
		double whole = tokens * this.cost.apply(options.patches()).training();
		// forward, and the gradients of values, but not those of weights
		return (this.lowRank != null) ? whole * 2 / 3 : whole;
	}

	/** The shape, as the model's file says it. */
	Map<String, Object> configuration() {
		return this.configuration;
	}

	TokenBlocks blocks(TokenStore data, TrainingOptions options) {
		return TokenBlocks.shuffled(data, this.patchSize, options.patches(), this.padId, options.seed());
	}

	TrainingProgram program(TrainingOptions options, ProgramOptions program, @Nullable Cluster cluster) {
		if (this.lowRank == null) {
			return TrainingProgram.build(program, options, this.patchSize, this.parameters, this.backbone,
					this.objective, cluster);
		}
		return TrainingProgram.build(program, options, this.patchSize, LowRank::isParameter, this.backbone,
				(builder, sequences, draws) -> {
					builder.adapt(this.lowRank);
					return this.objective.build(builder, sequences, draws);
				}, cluster);
	}

	/**
	 * Sets the first values of what is trained.
	 * @param base the directory of the model that has them; null for random ones
	 */
	void load(@Nullable Path base, Program program, List<Variable> parameters) {
		if (base == null) {
			return;
		}
		try (TensorFile weights = ModelDirectory.open(base).weights()) {
			if (this.calm != null && ModelKind.of(base, weights) == ModelKind.BASELINE) {
				WarmStart.load(program, parameters, this.calm, base, weights);
			}
			else if (this.lowRank != null) {
				ModelFiles.load(program,
						program.variables((name) -> this.parameters.test(name) && !LowRank.isParameter(name)), base,
						weights);
			}
			else {
				ModelFiles.load(program, parameters, base, weights);
			}
		}
	}

	/** Sets what is frozen; the variables are saved with the model. */
	List<Variable> loadFrozen(Program program) {
		List<Variable> variables = program.variables((name) -> name.startsWith(CalmNetwork.AUTOENCODER));
		if (this.frozen != null) {
			try (TensorFile weights = ModelDirectory.open(this.frozen).weights()) {
				ModelFiles.loadAutoencoder(program, variables, this.frozen, weights);
			}
		}
		return variables;
	}

	private static TrainingProgram.Objective variational(AutoencoderConfig config, ProgramBuilder builder,
			Sequences sequences, Draws draws) {
		Network network = builder.network();
		Autoencoder autoencoder = new Autoencoder(network, "", config);
		VariationalObjective objective = VariationalObjective.of(network, autoencoder, sequences.tokens(),
				VariationalObjective.Noise.draw(network.tf(), draws, config, sequences.tokens().shape().get(0)));
		return new TrainingProgram.Objective(objective.loss(),
				(parameters) -> builder.gradients(objective.loss(), Variables.values(parameters)),
				Map.of("cross_entropy", objective.crossEntropy(), "kl", objective.kl(), "kl_collapsed_dimensions",
						objective.collapsed(), "accuracy", objective.accuracy()));
	}

}

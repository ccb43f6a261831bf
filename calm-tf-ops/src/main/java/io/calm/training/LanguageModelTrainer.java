package io.calm.training;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ConfigFile;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Network;
import io.calm.graph.Program;
import io.calm.graph.ProgramOptions;
import io.calm.graph.Variable;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelFiles;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;

/**
 * Trains a CALM language model over a frozen autoencoder (section 4 of the paper).
 *
 * @param config builds the model's shape for the autoencoder
 * @param options how long and how
 * @param program device, precision and fusion
 * @param listeners follow the training
 */
public record LanguageModelTrainer(CalmConfig.Builder config, TrainingOptions options, ProgramOptions program,
		List<TrainingListener> listeners) {

	/** The name of this phase for listeners. */
	public static final String PHASE = "language-model";

	/**
	 * Trains, or goes on from the checkpoint in the directory.
	 * @param autoencoder the directory of a trained autoencoder
	 * @param data the tokens
	 * @param directory of checkpoint and model; written whole or not at all
	 * @param files writes what else belongs into the directory, such as the tokenizer and
	 * a copy of the autoencoder
	 * @throws TrainingException if the training cannot go on
	 */
	public void train(Path autoencoder, TokenStore data, Path directory, Consumer<Path> files) {
		ModelDirectory model = ModelDirectory.open(autoencoder);
		train(ModelFiles.autoencoder(model), (program, frozen) -> {
			try (TensorFile weights = model.weights()) {
				ModelFiles.loadAutoencoder(program, frozen, autoencoder, weights);
			}
		}, data, directory, files);
	}

	/**
	 * Trains over an autoencoder with random weights: for benchmarks, which need no
	 * better.
	 * @param autoencoder the autoencoder's shape
	 * @param data the tokens
	 * @param directory of checkpoint and model
	 * @param files writes what else belongs into the directory
	 */
	public void trainUntrained(AutoencoderConfig autoencoder, TokenStore data, Path directory, Consumer<Path> files) {
		train(autoencoder, (program, frozen) -> {
		}, data, directory, files);
	}

	private void train(AutoencoderConfig autoencoder, BiConsumer<Program, List<Variable>> loadAutoencoder,
			TokenStore data, Path directory, Consumer<Path> files) {
		CalmConfig config = this.config.build(autoencoder);
		TokenBlocks blocks = TokenBlocks.shuffled(data, config.patchSize(), this.options.patches(), config.padId(),
				this.options.seed());
		try (TrainingProgram training = program(config, autoencoder, this.options, this.program)) {
			training.initialize();
			List<Variable> frozen = training.program().variables((name) -> name.startsWith(CalmNetwork.AUTOENCODER));
			loadAutoencoder.accept(training.program(), frozen);
			new TrainingLoop(PHASE, training, this.options, blocks, data.digest(), this.listeners).run(directory,
					ModelFiles.settings(config), (target) -> {
						ConfigFile.write(target.resolve(ModelFiles.CONFIG), ModelFiles.settings(config));
						files.accept(target);
					}, frozen);
		}
	}

	static TrainingProgram program(CalmConfig config, AutoencoderConfig autoencoder, TrainingOptions options,
			ProgramOptions program) {
		return TrainingProgram.build(program, options, config.patchSize(), CalmNetwork::isParameter,
				(network, tokens, documents, draws) -> {
					CalmNetwork calm = new CalmNetwork(network, config, autoencoder);
					Operand<TFloat32> hidden = calm.hiddenStates(tokens, documents); // [B·P,
																						// d]
					int batch = (int) documents.shape().get(0);
					int patches = (int) documents.shape().get(1);
					int width = config.backbone().hiddenSize();
					// the hidden state of patch i predicts patch i + 1
					Operand<TFloat32> before = between(network, hidden, batch, patches, width, 0, patches - 1);
					Operand<TInt32> next = network.tf()
						.reshape(
								span(network.tf(), reshape(network.tf(), tokens, batch, patches, config.patchSize()), 1,
										patches - 1),
								network.tf().constant(new int[] { batch * (patches - 1), config.patchSize() }));
					Operand<TFloat32> losses = calm.head().loss(before, calm.posterior(next), draws);
					Operand<TFloat32> loss = meanOver(network.tf(), losses, targets(network.tf(), documents));
					return new TrainingProgram.Objective(loss, Map.of());
				});
	}

	/**
	 * A patch is a target if the one before it is of the same document: PAD is no target,
	 * and the beginning of a document cannot be known.
	 */
	private static Operand<TFloat32> targets(Ops tf, Operand<TInt32> documents) {
		int batch = (int) documents.shape().get(0);
		int patches = (int) documents.shape().get(1);
		Operand<TInt32> rows = reshape(tf, documents, batch, patches, 1);
		Operand<TInt32> before = span(tf, rows, 0, patches - 1);
		Operand<TInt32> next = span(tf, rows, 1, patches - 1);
		Operand<TFloat32> same = tf.dtypes.cast(tf.math.equal(before, next), TFloat32.class);
		Operand<TFloat32> real = tf.dtypes.cast(tf.math.notEqual(next, tf.constant(0)), TFloat32.class);
		return tf.reshape(tf.math.mul(same, real), tf.constant(new int[] { batch * (patches - 1) }));
	}

	private static Operand<TFloat32> between(Network network, Operand<TFloat32> rows, int batch, int patches, int width,
			int from, int count) {
		Operand<TFloat32> sequences = network.reshape(rows, batch, patches, width);
		return network.reshape(span(network.tf(), sequences, from, count), (long) batch * count, width);
	}

	private static Operand<TInt32> reshape(Ops tf, Operand<TInt32> values, int... shape) {
		return tf.reshape(values, tf.constant(shape));
	}

	private static <T extends TNumber> Operand<T> span(Ops tf, Operand<T> sequences, int from, int count) {
		int[] size = { (int) sequences.shape().get(0), count, (int) sequences.shape().get(2) };
		return tf.slice(sequences, tf.constant(new int[] { 0, from, 0 }), tf.constant(size));
	}

	private static Operand<TFloat32> meanOver(Ops tf, Operand<TFloat32> values, Operand<TFloat32> weights) {
		Operand<TInt32> all = tf.constant(0);
		return tf.math.div(tf.sum(tf.math.mul(values, weights), all),
				tf.math.maximum(tf.sum(weights, all), tf.constant(1f)));
	}

}

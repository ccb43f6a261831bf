package io.calm.evaluation;

import java.nio.file.Path;
import java.util.function.BiFunction;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Call;
import io.calm.graph.EntryPoint;
import io.calm.graph.Network;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.model.ModelFiles;
import io.calm.text.TokenBatch;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;

/**
 * What is computed of each block of a text: a model's network with inputs and outputs.
 *
 * @param patchSize K of the blocks
 * @param padId the id that fills blocks
 * @param entry what is called for some blocks at a time
 * @param feeding sets the inputs
 * @param reading reads the outputs
 */
record BlockProgram(int patchSize, int padId, EntryPoint entry, Feeding feeding, Reading reading) {

	/** Declares the network of a model. */
	interface Declaration<N> {

		N declare(Network network, ModelDirectory model, TensorFile weights);

	}

	/** Sets the inputs of a call, which have a number for their draws. */
	interface Feeding {

		void feed(Call call, TokenBatch blocks, long number);

	}

	/** Reads the outputs of a call. */
	interface Reading {

		/**
		 * Reads what was computed of some blocks.
		 * @return whether there are to be more
		 */
		boolean read(Call call, TokenBatch blocks);

	}

	/**
	 * Computes a text, block by block.
	 * @param directory of the model
	 * @param data the text
	 * @param options device and precision
	 * @param patches P, the length of a block
	 * @param batch blocks per call
	 * @param declaration declares the network, whose weights are checked before it is
	 * used
	 * @param program uses it
	 */
	static <N> void run(Path directory, TokenStore data, ProgramOptions options, int patches, int batch,
			Declaration<N> declaration, BiFunction<ProgramBuilder, N, BlockProgram> program) {
		ModelDirectory model = ModelDirectory.open(directory);
		try (TensorFile weights = model.weights(); ProgramBuilder builder = new ProgramBuilder(options)) {
			N network = declaration.declare(builder.network(), model, weights);
			ModelFiles.check(builder.network().variables().select((name) -> true), directory, weights);
			BlockProgram used = program.apply(builder, network);
			try (Program built = builder.build()) {
				ModelFiles.load(built, built.variables((name) -> true), directory, weights);
				used.callAll(built, TokenBlocks.sequential(data, used.patchSize(), patches, used.padId()), batch);
			}
		}
	}

	private void callAll(Program built, TokenBlocks text, int batch) {
		long calls = (text.blocks() + batch - 1) / batch;
		boolean more = true;
		for (long i = 0; i < calls && more; i++) {
			TokenBatch blocks = text.batch(batch, i);
			try (Call call = built.call(this.entry)) {
				this.feeding.feed(call, blocks, i);
				more = this.reading.read(call.run(), blocks);
			}
		}
	}

}

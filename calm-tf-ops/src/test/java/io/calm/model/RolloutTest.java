package io.calm.model;

import java.util.Random;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.graph.Call;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import org.junit.jupiter.api.Test;
import org.tensorflow.types.TInt32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

class RolloutTest {

	private static final int BATCH = 2;

	private static final int PATCHES = 6;

	private static final int SIZE = 2;

	private static final int VOCABULARY = 260;

	/** Two documents in the first block, one in the second. */
	private static final int[] DOCUMENTS = { 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1 };

	@Test
	void isWhatEachContinuationAloneGives() {
		AutoencoderConfig autoencoder = TinyModel.autoencoder().patchSize(SIZE).build();
		CalmConfig config = TinyModel.calm().keyHeads(1).build(autoencoder);
		int width = config.backbone().hiddenSize();
		Random random = new Random(1);
		int[][] rows = new int[3][];
		for (int i = 0; i < rows.length; i++) {
			rows[i] = random.ints((long) BATCH * PATCHES * SIZE, 3, VOCABULARY).toArray();
		}
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			CalmNetwork network = new CalmNetwork(builder.network(), config, autoencoder);
			Input<TInt32, int[]> documents = builder.ints(BATCH, PATCHES);
			Rollout rollout = network.rollout(documents.value());
			Input<TInt32, int[]> text = builder.ints((long) BATCH * PATCHES, SIZE);
			Input<TInt32, int[]> first = builder.ints((long) BATCH * PATCHES, SIZE);
			Input<TInt32, int[]> second = builder.ints((long) BATCH * PATCHES, SIZE);
			Fetch<float[]> hidden = Fetch.floats(rollout.append(text.value()));
			Fetch<float[]> afterFirst = Fetch.floats(rollout.append(first.value()));
			Fetch<float[]> afterSecond = Fetch.floats(rollout.append(second.value()));
			EntryPoint together = builder.entryPoint().fetching(hidden, afterFirst, afterSecond);
			int length = PATCHES + 2;
			Input<TInt32, int[]> sequence = builder.ints(length, SIZE);
			Input<TInt32, int[]> sequenceDocuments = builder.ints(1, length);
			Fetch<float[]> states = Fetch.floats(network.hiddenStates(sequence.value(), sequenceDocuments.value()));
			EntryPoint alone = builder.entryPoint().fetching(states);
			try (Program program = builder.build()) {
				program.initialize(program.variables((name) -> true), 1);
				// first weights are small: positions would hardly matter
				program.write(program.variables((name) -> name.contains("proj.weight")), (variable) -> {
					float[] values = new float[(int) variable.size()];
					for (int i = 0; i < values.length; i++) {
						values[i] = 0.4f * (float) random.nextGaussian();
					}
					return values;
				});
				try (Call call = program.call(together)
					.feed(documents, DOCUMENTS)
					.feed(text, rows[0])
					.feed(first, rows[1])
					.feed(second, rows[2])
					.run()) {
					for (int i = 0; i < BATCH * PATCHES; i++) {
						float[] expected = alone(program, alone, sequence, sequenceDocuments, states, rows, i);
						int place = i % PATCHES;
						compare(call.get(hidden), i, expected, place, width);
						compare(call.get(afterFirst), i, expected, place + 1, width);
						compare(call.get(afterSecond), i, expected, place + 2, width);
					}
				}
			}
		}
	}

	private static float[] alone(Program program, EntryPoint entryPoint, Input<TInt32, int[]> sequence,
			Input<TInt32, int[]> documents, Fetch<float[]> states, int[][] rows, int i) {
		int block = i / PATCHES;
		int place = i % PATCHES;
		int[] tokens = new int[(PATCHES + 2) * SIZE];
		int[] owners = new int[PATCHES + 2];
		System.arraycopy(rows[0], block * PATCHES * SIZE, tokens, 0, (place + 1) * SIZE);
		System.arraycopy(rows[1], i * SIZE, tokens, (place + 1) * SIZE, SIZE);
		System.arraycopy(rows[2], i * SIZE, tokens, (place + 2) * SIZE, SIZE);
		System.arraycopy(DOCUMENTS, block * PATCHES, owners, 0, place + 1);
		owners[place + 1] = DOCUMENTS[i];
		owners[place + 2] = DOCUMENTS[i];
		try (Call call = program.call(entryPoint).feed(sequence, tokens).feed(documents, owners).run()) {
			return call.get(states);
		}
	}

	private static void compare(float[] actual, int row, float[] expected, int expectedRow, int width) {
		for (int i = 0; i < width; i++) {
			assertThat(actual[row * width + i]).isCloseTo(expected[expectedRow * width + i], within(2e-5f));
		}
	}

}

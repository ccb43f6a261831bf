package io.calm.text;

import io.calm.input.InvalidInputException;
import java.util.Arrays;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Packs the documents of a store into blocks of P patches of K tokens. A document begins
 * at a patch boundary and is filled up with PAD to the next one; documents follow one
 * another, and one that crosses the border of a block goes on in the next. Batches are
 * computed from their index alone, in any order and from several threads, so the position
 * in the data is one number in a checkpoint.
 * <p>
 * Takes 12 bytes of memory per document and 4 per block, twice while shuffling.
 */
public final class TokenBlocks {

	private final TokenStore store;

	private final int patchSize;

	private final int patches;

	private final int padId;

	private final @Nullable Long seed;

	private final long blocks;

	/** The last epochs used: a batch may lie in two. An epoch's place is its parity. */
	private final @Nullable Epoch[] epochs = new @Nullable Epoch[2];

	private TokenBlocks(TokenStore store, int patchSize, int patches, int padId, @Nullable Long seed) {
		if (patchSize < 1 || patches < 1 || padId < 0) {
			throw new IllegalArgumentException(
					"patchSize " + patchSize + ", patches " + patches + " and padId " + padId + " must be positive");
		}
		this.store = store;
		this.patchSize = patchSize;
		this.patches = patches;
		this.padId = padId;
		this.seed = seed;
		long all = 0;
		for (int document = 0; document < store.documents(); document++) {
			all += patches(store.length(document));
		}
		this.blocks = (seed != null) ? all / patches : (all + patches - 1) / patches;
		if (this.blocks == 0) {
			throw new InvalidInputException("corpus",
					"it is shorter than one block: %d tokens in %d documents make %d patches of %d tokens, a block has %d"
						.formatted(store.tokens(), store.documents(), all, patchSize, patches),
					"make the block smaller or give more text");
		}
		if (this.blocks > Integer.MAX_VALUE - 8) {
			throw new InvalidInputException("corpus", "it makes " + this.blocks + " blocks, more than can be shuffled",
					"make the block larger");
		}
	}

	/**
	 * Blocks for training, without end: epoch after epoch, each with its own order of
	 * documents and of blocks. Before a document stand 0 to K-1 PADs, another random
	 * number in each epoch, so that a model sees its words at all places of a patch. The
	 * patches that make no whole block at the end of an epoch are left out of it.
	 * @param store the documents; not closed by the blocks
	 * @param patchSize tokens of a patch, K
	 * @param patches patches of a block, P
	 * @param padId the id of PAD
	 * @param seed the same seed makes the same batches
	 * @return the blocks
	 * @throws InvalidInputException if the store is shorter than one block
	 */
	public static TokenBlocks shuffled(TokenStore store, int patchSize, int patches, int padId, long seed) {
		return new TokenBlocks(store, patchSize, patches, padId, seed);
	}

	/**
	 * Blocks for evaluation: every token once, in order, documents aligned with patches
	 * from their first token on, the last block filled up with patches of PAD.
	 * @param store the documents; not closed by the blocks
	 * @param patchSize tokens of a patch, K
	 * @param patches patches of a block, P
	 * @param padId the id of PAD
	 * @return the blocks
	 */
	public static TokenBlocks sequential(TokenStore store, int patchSize, int patches, int padId) {
		return new TokenBlocks(store, patchSize, patches, padId, null);
	}

	/**
	 * The number of blocks of an epoch.
	 * @return their number, at least one
	 */
	public long blocks() {
		return this.blocks;
	}

	/**
	 * A batch. Shuffled blocks have one for every index from 0; sequential blocks end:
	 * the last batch may have blocks of PAD only at its end.
	 * @param size the number of blocks in it, B
	 * @param index which batch of this size, from 0
	 * @return the batch, always the same for the same size and index
	 * @throws IndexOutOfBoundsException if the index is negative, or behind the end of
	 * sequential blocks
	 */
	public TokenBatch batch(int size, long index) {
		if (size < 1) {
			throw new IllegalArgumentException("the size of a batch must be positive, not " + size);
		}
		long batches = (this.seed != null) ? Long.MAX_VALUE / size : (this.blocks + size - 1) / size;
		Objects.checkIndex(index, batches);
		TokenBatch batch = new TokenBatch(size, this.patches, this.patchSize,
				new int[Math.multiplyExact(size, this.patches * this.patchSize)], new int[size * this.patches],
				new int[size * this.patches]);
		Arrays.fill(batch.tokens(), this.padId);
		Arrays.fill(batch.sources(), -1);
		for (int i = 0; i < size; i++) {
			long block = index * size + i;
			if (this.seed != null) {
				Epoch epoch = epoch(block / this.blocks);
				fill(batch, i, epoch, epoch.blocks[(int) (block % this.blocks)]);
			}
			else if (block < this.blocks) {
				fill(batch, i, epoch(0), block);
			}
		}
		return batch;
	}

	private void fill(TokenBatch batch, int row, Epoch epoch, long block) {
		long first = block * this.patches;
		int place = Arrays.binarySearch(epoch.starts, first);
		place = (place >= 0) ? place : -place - 2;
		int patch = 0;
		for (int number = 1; patch < this.patches && place < epoch.order.length; number++, place++) {
			int document = epoch.order[place];
			long patchInDocument = first + patch - epoch.starts[place];
			int count = (int) Math.min(this.patches - patch, epoch.starts[place + 1] - first - patch);
			int at = row * this.patches + patch;
			Arrays.fill(batch.documents(), at, at + count, number);
			Arrays.fill(batch.sources(), at, at + count, document);
			// where the patches begin and end within the document, whose PADs lie before
			// 0
			long begin = patchInDocument * this.patchSize - leftPad(epoch.number, document);
			long from = Math.max(0, begin);
			long to = Math.min(this.store.length(document), begin + (long) count * this.patchSize);
			this.store.read(document, from, batch.tokens(), at * this.patchSize + (int) (from - begin),
					(int) (to - from));
			patch += count;
		}
	}

	private synchronized Epoch epoch(long number) {
		Epoch epoch = this.epochs[(int) (number & 1)];
		if (epoch == null || epoch.number != number) {
			epoch = new Epoch(number);
			this.epochs[(int) (number & 1)] = epoch;
		}
		return epoch;
	}

	private int leftPad(long epoch, int document) {
		return (this.seed != null) ? (int) Math.floorMod(mix(mix(this.seed, epoch), document), (long) this.patchSize)
				: 0;
	}

	private long patches(long tokens) {
		return (tokens + this.patchSize - 1) / this.patchSize;
	}

	/**
	 * The finalizer of SplitMix64: every bit of the result depends on every bit of both.
	 */
	private static long mix(long seed, long number) {
		long bits = seed + 0x9E3779B97F4A7C15L * (number + 1);
		bits = (bits ^ (bits >>> 30)) * 0xBF58476D1CE4E5B9L;
		bits = (bits ^ (bits >>> 27)) * 0x94D049BB133111EBL;
		return bits ^ (bits >>> 31);
	}

	private static void shuffle(int[] values, SplittableRandom random) {
		for (int i = values.length - 1; i > 0; i--) {
			int j = random.nextInt(i + 1);
			int value = values[i];
			values[i] = values[j];
			values[j] = value;
		}
	}

	/** The order of one epoch. */
	private final class Epoch {

		final long number;

		/** The documents, in their order. */
		final int[] order;

		/** The first patch of each document in that order, and the end. */
		final long[] starts;

		/** The blocks, in their order. */
		final int[] blocks;

		Epoch(long number) {
			TokenStore store = TokenBlocks.this.store;
			this.number = number;
			this.order = IntStream.range(0, store.documents()).toArray();
			this.blocks = IntStream.range(0, (int) TokenBlocks.this.blocks).toArray();
			if (TokenBlocks.this.seed != null) {
				SplittableRandom random = new SplittableRandom(mix(TokenBlocks.this.seed, number));
				shuffle(this.order, random);
				shuffle(this.blocks, random);
			}
			this.starts = new long[this.order.length + 1];
			for (int i = 0; i < this.order.length; i++) {
				this.starts[i + 1] = this.starts[i]
						+ patches(leftPad(number, this.order[i]) + store.length(this.order[i]));
			}
		}

	}

}

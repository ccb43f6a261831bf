package io.calm.text;

import java.util.Arrays;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Packs the documents of a store into blocks of P patches of K tokens. A document begins
 * at a patch boundary and is filled up with PAD to the next one; documents follow one
 * another, and one that crosses the border of a block goes on in the next. Batches are
 * computed from their index alone, in any order and from several threads, so the position
 * in the data is one number in a checkpoint.
 * <p>
 * A prompt and its answer meet at a patch boundary, as they do in generation: the PADs
 * before the prompt make it so. The answer must not lose sight of the prompt, so such a
 * document lies in one block whole, with PAD before it if need be, and one that is longer
 * than a block is left out.
 * <p>
 * Takes 12 bytes of memory per document and 4 per block, twice while shuffling.
 */
public final class TokenBlocks {

	private static final Logger LOG = LoggerFactory.getLogger(TokenBlocks.class);

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
		boolean anyPrompts = IntStream.range(0, store.documents()).anyMatch(this::isAnswer);
		long all = anyPrompts ? starts(0, IntStream.range(0, store.documents()).toArray())[store.documents()]
				: IntStream.range(0, store.documents()).mapToLong((document) -> patches(store.length(document))).sum();
		this.blocks = (seed != null && !anyPrompts) ? all / patches : (all + patches - 1) / patches;
		if (this.blocks == 0) {
			throw new InvalidInputException("corpus", anyPrompts
					? "each of its %d prompts with its answer is longer than a block, which has %d patches of %d tokens"
						.formatted(store.documents(), patches, patchSize)
					: "it is shorter than one block: %d tokens in %d documents make %d patches of %d tokens, a block has %d"
						.formatted(store.tokens(), store.documents(), all, patchSize, patches),
					anyPrompts ? "make the block larger" : "make the block smaller or give more text");
		}
		long tooLong = IntStream.range(0, store.documents()).filter((document) -> room(0, document) == 0).count();
		if (tooLong > 0) {
			LOG.warn(
					"{} of {} documents are left out: with its answer, their prompt is longer than a block, which has {}"
							+ " patches of {} tokens",
					tooLong, store.documents(), patches, patchSize);
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
	 * patches that make no whole block at the end of an epoch are left out of it. Prompts
	 * with their answers fill blocks to different degrees in each order: what lies behind
	 * the last block of an epoch is left out of it, or the last block is PAD.
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
	 * The share of PAD among the tokens of a training, on average over epochs: before and
	 * behind each document, where patches begin and end. What fills up blocks behind
	 * prompts with answers comes on top.
	 * @param store the documents
	 * @param patchSize tokens of a patch, K
	 * @return from 0 to 1
	 */
	public static double padShare(TokenStore store, int patchSize) {
		long pads = 0;
		for (int document = 0; document < store.documents(); document++) {
			if (store.given(document) > 0) {
				int before = Math.floorMod(-store.given(document), patchSize);
				pads += before + Math.floorMod(-(before + store.length(document)), (long) patchSize);
			}
			else {
				// 0 to K-1 before it, each as often, and what is missing behind it
				pads += patchSize - 1;
			}
		}
		return (double) pads / (pads + store.tokens());
	}

	/**
	 * The tokens of a patch.
	 * @return K
	 */
	public int patchSize() {
		return this.patchSize;
	}

	/**
	 * The number of blocks of an epoch.
	 * @return their number, at least one
	 */
	public long blocks() {
		return this.blocks;
	}

	/**
	 * Reads a batch of blocks. Shuffled blocks have one for every index from 0;
	 * sequential blocks end: the last batch may have blocks of PAD only at its end.
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
				new int[size * this.patches], new int[size * this.patches]);
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
		long end = first + this.patches;
		int number = 1;
		for (int place = epoch.placeOf(first); place < epoch.order.length && epoch.starts[place] < end; place++) {
			int document = epoch.order[place];
			int pads = leftPad(epoch.number, document);
			long start = Math.max(first, epoch.starts[place]);
			int count = (int) (Math.min(end, epoch.starts[place] + room(epoch.number, document)) - start);
			if (count <= 0) {
				continue;
			}
			int at = row * this.patches + (int) (start - first);
			Arrays.fill(batch.documents(), at, at + count, number++);
			Arrays.fill(batch.sources(), at, at + count, document);
			// where the patches begin and end within the document, whose PADs lie before
			// 0
			long begin = (start - epoch.starts[place]) * this.patchSize - pads;
			int given = isAnswer(document) ? (pads + this.store.given(document)) / this.patchSize : 0;
			Arrays.fill(batch.counted(), at + given, at + count, 1);
			long from = Math.max(0, begin);
			long to = Math.min(this.store.length(document), begin + (long) count * this.patchSize);
			this.store.read(document, from, batch.tokens(), at * this.patchSize + (int) (from - begin),
					(int) (to - from));
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
		if (isAnswer(document)) {
			return Math.floorMod(-this.store.given(document), this.patchSize);
		}
		return (this.seed != null) ? (int) Math.floorMod(mix(mix(this.seed, epoch), document), (long) this.patchSize)
				: 0;
	}

	/** Whether a document is a prompt with its answer. */
	private boolean isAnswer(int document) {
		return this.store.given(document) > 0;
	}

	private long patches(long tokens) {
		return (tokens + this.patchSize - 1) / this.patchSize;
	}

	/** The patches that a document takes; 0 if it is left out. */
	private long room(long epoch, int document) {
		long patches = patches(leftPad(epoch, document) + this.store.length(document));
		return (isAnswer(document) && patches > this.patches) ? 0 : patches;
	}

	/** The first patch of each document in an order, and the end of the last. */
	private long[] starts(long epoch, int[] order) {
		long[] starts = new long[order.length + 1];
		long end = 0;
		for (int i = 0; i < order.length; i++) {
			long patches = room(epoch, order[i]);
			long rest = this.patches - end % this.patches;
			if (isAnswer(order[i]) && patches > rest) {
				end += rest;
			}
			starts[i] = end;
			end += patches;
		}
		starts[order.length] = end;
		return starts;
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
			this.starts = starts(number, this.order);
		}

		/** The place in the order of the first document that may reach into a patch. */
		int placeOf(long patch) {
			int place = Arrays.binarySearch(this.starts, patch);
			place = (place >= 0) ? place : -place - 2;
			// those that are left out begin where the next one does
			while (place > 0 && this.starts[place - 1] == this.starts[place]) {
				place--;
			}
			return place;
		}

	}

}

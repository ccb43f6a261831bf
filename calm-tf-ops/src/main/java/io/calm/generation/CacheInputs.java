package io.calm.generation;

import java.util.Arrays;
import java.util.List;

import io.calm.graph.Call;
import io.calm.graph.Input;
import io.calm.graph.ProgramBuilder;
import io.calm.layer.CacheConfig;
import io.calm.layer.CachePlaces;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TInt32;

/**
 * What every call of a model with a cache is fed: new patches and where they stand.
 *
 * @param patchSize K
 * @param tokens {@code [A·Q, K]}, new patches
 * @param positions {@code [A·Q]}, where they stand
 * @param slots {@code [A]}, whose they are
 * @param pageCount a scalar: pages of each slot to look at
 */
record CacheInputs(int patchSize, Input<TInt32, int[]> tokens, Input<TInt32, int[]> positions,
		Input<TInt32, int[]> slots, Input<TInt32, int[]> pageCount) {

	static CacheInputs declare(ProgramBuilder builder, int patchSize) {
		return new CacheInputs(patchSize, builder.ints(-1, patchSize), builder.ints(-1), builder.ints(-1),
				builder.ints());
	}

	/** Where Q new patches of each slot stand. */
	CachePlaces places(Ops tf, int queries, CacheConfig cache) {
		return CachePlaces.of(tf, cache, queries, this.slots.value(), this.positions.value(), this.pageCount.value());
	}

	/** A part of a prompt, filled up to the size of all such parts. */
	Call feedPrompt(Call call, int slot, int[] patches, int position, int padId) {
		// what stands after the prompt is written over before it is seen
		int[] filled = new int[ModelProgram.PREFILL * this.patchSize];
		Arrays.fill(filled, padId);
		System.arraycopy(patches, 0, filled, 0, patches.length);
		int[] places = new int[ModelProgram.PREFILL];
		Arrays.setAll(places, (i) -> position + i);
		return feed(call, new int[] { slot }, filled, places);
	}

	/** The last patch of each slot. */
	Call feedLast(Call call, List<Slot> slots) {
		return feed(call, slots.stream().mapToInt(Slot::number).toArray(),
				slots.stream().flatMapToInt((slot) -> Arrays.stream(slot.patch())).toArray(),
				slots.stream().mapToInt(Slot::position).toArray());
	}

	private Call feed(Call call, int[] numbers, int[] patches, int[] places) {
		int last = Arrays.stream(places).max().orElseThrow();
		return call.feed(this.tokens, patches)
			.feed(this.positions, places)
			.feed(this.slots, numbers)
			.feed(this.pageCount, new int[] { last / CacheConfig.PAGE + 1 });
	}

}

package io.calm.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

import io.calm.layer.AttentionPaths;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Continues every position of whole sequences at once, each on a path of its own: the
 * sequence is computed once, and a step costs as much as it again. Position i's path
 * begins behind i and does not see what really comes there.
 */
public final class Rollout {

	private final Backbone backbone;

	private final Function<Operand<TInt32>, Operand<TFloat32>> embedding;

	private final Operand<TInt32> documents;

	private final List<AttentionPaths> paths = new ArrayList<>();

	private final CopyAttention.@Nullable Path copies;

	private final Operand<TFloat32> first;

	private int steps;

	Rollout(Backbone backbone, Function<Operand<TInt32>, Operand<TFloat32>> embedding,
			CopyAttention.@Nullable Path copies, Operand<TInt32> tokens, Operand<TInt32> documents) {
		this.backbone = backbone;
		this.embedding = embedding;
		this.documents = documents;
		this.copies = copies;
		this.first = withCopies(backbone.begin(embedding.apply(tokens), documents, this.paths));
	}

	/**
	 * The states of the sequences, which predict the first element of each path.
	 * @return {@code [B·P, d]}, and where the model copies, what is copied beside it
	 */
	public Operand<TFloat32> states() {
		return this.first;
	}

	/**
	 * Goes one element further on all paths.
	 * @param tokens {@code [B·P, K]}, the next element of each path
	 * @return the states, which predict the one after it
	 */
	public Operand<TFloat32> proceed(Operand<TInt32> tokens) {
		this.steps++;
		if (this.copies != null) {
			this.copies.proceed(tokens);
		}
		return withCopies(this.backbone.proceed(this.embedding.apply(tokens), this.documents, this.steps, this.paths));
	}

	private Operand<TFloat32> withCopies(Operand<TFloat32> hidden) {
		return (this.copies == null) ? hidden : this.copies.beside(hidden);
	}

}

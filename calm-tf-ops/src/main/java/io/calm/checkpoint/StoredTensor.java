package io.calm.checkpoint;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.function.Consumer;

import org.jspecify.annotations.Nullable;

/**
 * Where a tensor lies in a file. Whoever makes one has checked that all of it lies within
 * the file.
 *
 * @param entry what it is
 * @param file the file
 * @param offset the first element's place in the file, in bytes
 * @param strides how many elements to go per step in each dimension; {@code null} for the
 * usual row after row. With strides, all elements lie within one
 * {@link OpenFile#WINDOW}'s reach
 */
record StoredTensor(TensorEntry entry, OpenFile file, long offset, @Nullable List<Long> strides) {

	/**
	 * Bytes that are read at once: few enough to stay in a processor's cache until they
	 * are where they belong.
	 */
	private static final int PIECE = 128 << 10;

	/** Reads floating-point numbers, in row-major order, piece after piece. */
	void read(Consumer<FloatBuffer> target) {
		if (this.entry.type() == ElementType.F32 && this.strides == null) {
			forEachPiece((bytes) -> target.accept(bytes.asFloatBuffer()));
			return;
		}
		FloatBuffer piece = FloatBuffer.allocate(PIECE / Float.BYTES);
		forEachElement((bytes, position) -> {
			piece.put(this.entry.type().floatAt(bytes, position));
			if (!piece.hasRemaining()) {
				target.accept(piece.flip());
				piece.clear();
			}
		});
		target.accept(piece.flip());
	}

	long[] readLongs() {
		long[] values = new long[Math.toIntExact(this.entry.elements())];
		int[] next = new int[1];
		forEachElement((bytes, position) -> values[next[0]++] = this.entry.type().longAt(bytes, position));
		return values;
	}

	private void forEachElement(ElementVisitor visitor) {
		int step = this.entry.type().bytes();
		List<Long> strides = this.strides;
		if (strides != null) {
			forEachStrided(strides, visitor);
			return;
		}
		forEachPiece((bytes) -> {
			for (int position = 0; position < bytes.limit(); position += step) {
				visitor.visit(bytes, position);
			}
		});
	}

	private void forEachPiece(Consumer<ByteBuffer> visitor) {
		long bytes = this.entry.bytes();
		ByteBuffer piece = ByteBuffer.allocate((int) Math.min(PIECE, bytes)).order(ByteOrder.LITTLE_ENDIAN);
		for (long done = 0; done < bytes; done += PIECE) {
			piece.clear().limit((int) Math.min(PIECE, bytes - done));
			this.file.read(this.offset + done, piece);
			visitor.accept(piece);
		}
	}

	private void forEachStrided(List<Long> strides, ElementVisitor visitor) {
		List<Long> shape = this.entry.shape();
		long elements = this.entry.elements();
		if (elements == 0) {
			return;
		}
		int size = this.entry.type().bytes();
		ByteBuffer bytes = this.file.bytes(this.offset, (int) (size * (lastElement(shape, strides) + 1)));
		long[] index = new long[shape.size()];
		long position = 0;
		for (long done = 0; done < elements; done++) {
			visitor.visit(bytes, (int) (position * size));
			// like an odometer: the innermost dimension turns fastest
			for (int d = index.length - 1; d >= 0; d--) {
				position += strides.get(d);
				if (++index[d] < shape.get(d)) {
					break;
				}
				position -= strides.get(d) * index[d];
				index[d] = 0;
			}
		}
	}

	/**
	 * The place of a tensor's last element, counted in elements from its first. The
	 * dimensions are at least 1 and the strides are not negative.
	 * @throws ArithmeticException if it is beyond a {@code long}
	 */
	static long lastElement(List<Long> shape, List<Long> strides) {
		long last = 0;
		for (int d = 0; d < shape.size(); d++) {
			last = Math.addExact(last, Math.multiplyExact(shape.get(d) - 1, strides.get(d)));
		}
		return last;
	}

	static boolean rowAfterRow(List<Long> shape, List<Long> strides) {
		long expected = 1;
		for (int d = shape.size() - 1; d >= 0; d--) {
			if (shape.get(d) != 1 && strides.get(d) != expected) {
				return false;
			}
			expected *= shape.get(d);
		}
		return true;
	}

	private interface ElementVisitor {

		void visit(ByteBuffer bytes, int position);

	}

}

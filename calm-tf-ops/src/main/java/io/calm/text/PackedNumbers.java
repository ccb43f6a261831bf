package io.calm.text;

import java.nio.ByteBuffer;

/**
 * Small numbers as Parquet packs them: runs of the same one, and groups of eight, each
 * number in a few bits. Takes no memory, whatever the bytes say.
 */
final class PackedNumbers {

	private final ByteBuffer in;

	private final int width;

	private boolean run;

	/** Of the run or the groups. */
	private long left;

	private int value;

	private long bits;

	private int bitCount;

	/**
	 * Numbers of a certain width.
	 * @param in the bytes
	 * @param width the bits of a number, 0 to 32
	 */
	PackedNumbers(ByteBuffer in, int width) {
		if (width < 0 || width > Integer.SIZE) {
			throw new IllegalArgumentException("numbers of " + width + " bits");
		}
		this.in = in;
		this.width = width;
	}

	/**
	 * The next number.
	 * @return the number; negative for one of 32 bits that is no int
	 * @throws java.nio.BufferUnderflowException if there are no more
	 */
	int next() {
		while (this.left == 0) {
			begin();
		}
		this.left--;
		if (this.run) {
			return this.value;
		}
		for (; this.bitCount < this.width; this.bitCount += Byte.SIZE) {
			this.bits |= Byte.toUnsignedLong(this.in.get()) << this.bitCount;
		}
		int number = (int) (this.bits & ((1L << this.width) - 1));
		this.bits >>>= this.width;
		this.bitCount -= this.width;
		return number;
	}

	private void begin() {
		long header = 0;
		int shift = 0;
		byte part;
		do {
			part = this.in.get();
			header |= (long) (part & 0x7F) << shift;
			shift += 7;
		}
		while (part < 0 && shift < Integer.SIZE);
		this.run = (header & 1) == 0;
		this.left = this.run ? header >>> 1 : (header >>> 1) * Byte.SIZE;
		this.bits = 0;
		this.bitCount = 0;
		this.value = 0;
		for (int i = 0; this.run && i < this.width; i += Byte.SIZE) {
			this.value |= Byte.toUnsignedInt(this.in.get()) << i;
		}
	}

}

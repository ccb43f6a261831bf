package io.calm.checkpoint;

import java.nio.ByteBuffer;

/**
 * The type of a tensor's elements in a file; the names are those of the safetensors
 * format. Files are little-endian throughout.
 */
public enum ElementType {

	/** One byte, 0 or 1. */
	BOOL(1),
	/** Unsigned integer of 8 bits. */
	U8(1),
	/** Signed integer of 8 bits. */
	I8(1),
	/** Unsigned integer of 16 bits. */
	U16(2),
	/** Signed integer of 16 bits. */
	I16(2),
	/** IEEE half precision. */
	F16(2),
	/** The upper half of an {@link #F32}. */
	BF16(2),
	/** Unsigned integer of 32 bits. */
	U32(4),
	/** Signed integer of 32 bits. */
	I32(4),
	/** IEEE single precision. */
	F32(4),
	/**
	 * Unsigned integer of 64 bits; can be listed but not read, as Java has no such
	 * number.
	 */
	U64(8),
	/** Signed integer of 64 bits. */
	I64(8),
	/** IEEE double precision. */
	F64(8);

	private final int bytes;

	ElementType(int bytes) {
		this.bytes = bytes;
	}

	/**
	 * The size of one element.
	 * @return the size in bytes
	 */
	public int bytes() {
		return this.bytes;
	}

	boolean floating() {
		return this == F16 || this == BF16 || this == F32 || this == F64;
	}

	boolean integer() {
		return !floating() && this != U64;
	}

	float floatAt(ByteBuffer source, int position) {
		return switch (this) {
			case F32 -> source.getFloat(position);
			case F64 -> (float) source.getDouble(position);
			case BF16 -> Float.intBitsToFloat(source.getShort(position) << 16);
			case F16 -> halfToFloat(source.getShort(position));
			default -> throw new IllegalStateException(this + " is no floating-point type");
		};
	}

	long longAt(ByteBuffer source, int position) {
		return switch (this) {
			case I64 -> source.getLong(position);
			case I32 -> source.getInt(position);
			case U32 -> Integer.toUnsignedLong(source.getInt(position));
			case I16 -> source.getShort(position);
			case U16 -> Short.toUnsignedLong(source.getShort(position));
			case I8 -> source.get(position);
			case U8, BOOL -> Byte.toUnsignedLong(source.get(position));
			default -> throw new IllegalStateException(this + " is no integer type");
		};
	}

	/** Float.float16ToFloat came with Java 20. */
	private static float halfToFloat(short half) {
		int sign = (half & 0x8000) << 16;
		int exponent = (half >>> 10) & 0x1f;
		int fraction = half & 0x3ff;
		if (exponent == 0) {
			float magnitude = fraction * 0x1p-24f;
			return (sign == 0) ? magnitude : -magnitude;
		}
		int wide = (exponent == 0x1f) ? 0xff : exponent - 15 + 127;
		return Float.intBitsToFloat(sign | wide << 23 | fraction << 13);
	}

	/** Rounds to the nearest, ties to even, as PyTorch does. */
	static short floatToBfloat16(float value) {
		if (Float.isNaN(value)) {
			return 0x7fc0;
		}
		int bits = Float.floatToRawIntBits(value);
		return (short) ((bits + 0x7fff + (bits >>> 16 & 1)) >>> 16);
	}

}

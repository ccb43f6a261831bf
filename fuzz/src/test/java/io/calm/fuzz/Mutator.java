package io.calm.fuzz;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;

/**
 * Breaks things: bytes blindly, JSON and safetensors as somebody who knows them. All of
 * it follows from a seed.
 */
public final class Mutator {

	private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

	/** Stand for what Gson does not write: half a character, and a name that is twice. */
	private static final String SURROGATE = "\uE000";

	private static final String TWICE = "\uE001";

	private static final List<String> NUMBERS = List.of("0", "-0", "1", "-1", "2", "3", "7", "255", "65536",
			"100000001", "2147483647", "2147483648", "-2147483648", "4294967296", "9223372036854775807",
			"-9223372036854775808", "18446744073709551616", "0.5", "1e-320", "1e38", "1e308", "1e999", "1e99999999",
			"1.0", "123456789e-3", "9".repeat(500));

	private static final List<String> TEXTS = List.of("", " ", "a", "\u0000", "\n", "\u001b[31m", "NaN", "-1", "null",
			SURROGATE, "\u2581", "</s>", "<unk>", "ab", "\\p{L}+", "(a+)+$", "[", "..", "/", "%s%n", "\uD83E\uDD16",
			"e\u0301", "\u202e", "type", "Sequence", "x".repeat(3000));

	private final SplittableRandom random;

	Mutator(long seed) {
		this.random = new SplittableRandom(seed);
	}

	/**
	 * A number.
	 * @param bound greater than it
	 */
	public int number(int bound) {
		return this.random.nextInt(bound);
	}

	/**
	 * Whether something happens.
	 * @param times of a hundred
	 */
	public boolean percent(int times) {
		return number(100) < times;
	}

	/** One of several. */
	public <T> T pick(List<T> choice) {
		return choice.get(number(choice.size()));
	}

	/** A text as nobody expects it. */
	public String text() {
		return pick(TEXTS).replace(SURROGATE, "\ud800");
	}

	/** A number as nobody expects it. */
	public String numeral() {
		return pick(NUMBERS);
	}

	/** Bytes of some file, changed here and there without a look at what they mean. */
	public byte[] blind(byte[] original) {
		byte[] bytes = original;
		for (int changes = 1 + number(3); changes > 0; changes--) {
			int from = number(bytes.length + 1);
			int length = number(Math.min(bytes.length - from, 1 << number(14)) + 1);
			byte[] part = Arrays.copyOfRange(bytes, from, from + length);
			bytes = switch (number(9)) {
				case 0, 1 -> replaced(bytes, from, length, flipped(part));
				case 2 -> Arrays.copyOf(bytes, from);
				case 3 -> replaced(bytes, from, 0, part);
				case 4 -> replaced(bytes, from, length, new byte[0]);
				case 5 -> replaced(bytes, from, length, noise(length));
				case 6 -> replaced(bytes, from, length, new byte[length]);
				case 7 -> replaced(bytes, from, 0, noise(1 + number(16)));
				default -> percent(90) ? replaced(bytes, from, 0, text().getBytes(StandardCharsets.UTF_8))
						: "[{\"a\":".repeat(100_000).getBytes(StandardCharsets.UTF_8);
			};
		}
		return bytes;
	}

	private byte[] flipped(byte[] part) {
		for (int i = 0; i < Math.min(8, part.length); i++) {
			part[number(part.length)] ^= (byte) (1 << number(8));
		}
		return part;
	}

	private byte[] noise(int length) {
		byte[] noise = new byte[length];
		this.random.nextBytes(noise);
		return noise;
	}

	private static byte[] replaced(byte[] bytes, int from, int length, byte[] with) {
		return ByteBuffer.allocate(bytes.length - length + with.length)
			.put(bytes, 0, from)
			.put(with)
			.put(bytes, from + length, bytes.length - from - length)
			.array();
	}

	/** JSON with some of its values changed; now and then changed blindly. */
	public byte[] json(byte[] original) {
		if (percent(15)) {
			return blind(original);
		}
		JsonElement json = JsonParser.parseString(new String(original, StandardCharsets.UTF_8));
		for (int changes = 1 + number(3); changes > 0; changes--) {
			json = changed(json);
		}
		return GSON.toJson(json).replace(TWICE, "").replace(SURROGATE, "\\ud800").getBytes(StandardCharsets.UTF_8);
	}

	/** Safetensors with another header, other bytes, or lengths that are wrong. */
	public byte[] safetensors(byte[] original) {
		ByteBuffer file = ByteBuffer.wrap(original).order(ByteOrder.LITTLE_ENDIAN);
		byte[] header = new byte[(int) file.getLong()];
		byte[] data = new byte[file.get(header).remaining()];
		file.get(data);
		long length = header.length;
		switch (number(6)) {
			case 0 -> {
				return blind(original);
			}
			case 1 ->
				length = List
					.of(0L, 1L, length - 1, length + 1, (long) original.length, 100_000_000L, 100_000_001L, 1L << 31,
							1L << 40, Long.MAX_VALUE, Long.MIN_VALUE, -1L)
					.get(number(12));
			case 2 -> data = blind(data);
			default -> {
				header = json(header);
				length = header.length;
			}
		}
		return ByteBuffer.allocate(Long.BYTES + header.length + data.length)
			.order(ByteOrder.LITTLE_ENDIAN)
			.putLong(length)
			.put(header)
			.put(data)
			.array();
	}

	/** Changes something in an element, rather near its root. */
	private JsonElement changed(JsonElement element) {
		if (element instanceof JsonObject object && !object.isEmpty() && percent(85)) {
			List<String> names = List.copyOf(object.keySet());
			String name = pick(names);
			switch (number(12)) {
				case 0 -> object.remove(name);
				case 1 -> object.add(pick(names), object.get(name).deepCopy());
				case 2 -> object.add(name + TWICE, value());
				case 3 -> object.add(pick(TEXTS), object.remove(name));
				default -> object.add(name, changed(object.get(name)));
			}
			return object;
		}
		if (element instanceof JsonArray array && !array.isEmpty() && percent(85)) {
			int at = number(array.size());
			switch (number(10)) {
				case 0 -> array.remove(at);
				case 1 -> array.addAll(array.deepCopy());
				case 2 -> array.add(value());
				default -> array.set(at, changed(array.get(at)));
			}
			return array;
		}
		if (element instanceof JsonPrimitive number && number.isNumber() && percent(50)) {
			long near = (long) number.getAsDouble();
			return new JsonPrimitive(
					List.of(-near, near + 1, near - 1, 2 * near, near / 2, 1000 * near).get(number(6)));
		}
		if (element instanceof JsonPrimitive text && text.isString() && percent(50)) {
			return new JsonPrimitive(percent(50) ? text.getAsString() + pick(TEXTS)
					: text.getAsString().substring(0, number(text.getAsString().length() + 1)));
		}
		return value();
	}

	private JsonElement value() {
		return switch (number(8)) {
			case 0 -> JsonParser.parseString(pick(List.of("null", "true", "false", "[]", "{}", "[null]", "{\"a\":1}")));
			case 1 -> nested(pick(List.of(5, 90, 130, 254, 300)));
			case 2, 3, 4 -> JsonParser.parseString(numeral());
			default -> new JsonPrimitive(pick(TEXTS));
		};
	}

	private JsonElement nested(int depth) {
		JsonElement inner = new JsonPrimitive(1);
		for (int i = 0; i < depth; i++) {
			JsonArray array = new JsonArray();
			JsonObject object = new JsonObject();
			array.add(inner);
			object.add("type", inner);
			inner = percent(50) ? array : object;
		}
		return inner;
	}

}

package io.calm.checkpoint;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.CRC32C;

import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * The beginning of a safetensors file: eight bytes with the length of a JSON object, the
 * object, and then nothing but the tensors' bytes, without holes.
 */
final class SafetensorsHeader {

	static final String METADATA = "__metadata__";

	/**
	 * Under this key of the metadata a file of ours carries eight hexadecimal digits: the
	 * CRC-32C of the whole file, computed with these digits as zeros. Other readers pass
	 * over it.
	 */
	static final String CHECKSUM = "calm.crc32c";

	static final String NO_CHECKSUM = "00000000";

	/** The limit of the reference implementation. */
	private static final int LONGEST = 100_000_000;

	/**
	 * Far more than any model has; bounds the memory that a header of that length takes.
	 */
	private static final int MOST_NAMES = 100_000;

	private static final Map<String, ElementType> TYPES = types();

	private static final String COPY_AGAIN = "download or copy it again";

	private final OpenFile file;

	private final byte[] json;

	private final Map<String, String> metadata;

	private final List<StoredTensor> tensors = new ArrayList<>();

	private SafetensorsHeader(OpenFile file, byte[] json, Map<String, String> metadata) {
		this.file = file;
		this.json = json;
		this.metadata = metadata;
	}

	/**
	 * Reads and checks the header, and the checksum if there is one.
	 * @param file a file of at least nine bytes
	 * @param metadata takes the remarks in the header
	 * @return the tensors in the order of the data
	 */
	static List<StoredTensor> read(OpenFile file, Map<String, String> metadata) {
		long length = file.bytes(0, Long.BYTES).getLong();
		if (length < 0 || length > LONGEST || !file.holds(Long.BYTES, length)) {
			throw file.invalid("claims a header of " + Long.toUnsignedString(length) + " bytes in a file of "
					+ file.size() + " bytes", COPY_AGAIN);
		}
		ByteBuffer bytes = file.bytes(Long.BYTES, (int) length);
		byte[] json = new byte[bytes.remaining()];
		bytes.get(json);
		SafetensorsHeader header = new SafetensorsHeader(file, json, metadata);
		header.parse();
		header.checkThatTensorsFillTheFile();
		header.verifyChecksum();
		return header.tensors;
	}

	private static Map<String, ElementType> types() {
		Map<String, ElementType> types = new HashMap<>();
		for (ElementType type : ElementType.values()) {
			types.put(type.name(), type);
		}
		return Map.copyOf(types);
	}

	private long dataStart() {
		return Long.BYTES + this.json.length;
	}

	private void parse() {
		// a decoder from newDecoder() refuses bytes that are no UTF-8
		try (JsonReader reader = new JsonReader(
				new InputStreamReader(new ByteArrayInputStream(this.json), StandardCharsets.UTF_8.newDecoder()))) {
			reader.setStrictness(Strictness.STRICT);
			Set<String> names = new HashSet<>();
			reader.beginObject();
			while (reader.hasNext()) {
				String name = reader.nextName();
				checkCount(names.size());
				if (!names.add(name)) {
					throw this.file.invalid("names " + OpenFile.shown(name) + " twice in its header", COPY_AGAIN);
				}
				if (name.equals(METADATA)) {
					readMetadata(reader);
				}
				else {
					this.tensors.add(readTensor(name, reader));
				}
			}
			reader.endObject();
			if (reader.peek() != JsonToken.END_DOCUMENT) {
				throw this.file.invalid("has something after the JSON object in its header", COPY_AGAIN);
			}
		}
		catch (IOException | IllegalStateException | NumberFormatException ex) {
			throw new InvalidInputException(this.file.path().toString(),
					"has a damaged header, no JSON as the safetensors format demands", COPY_AGAIN, ex);
		}
	}

	private void readMetadata(JsonReader reader) throws IOException {
		reader.beginObject();
		while (reader.hasNext()) {
			checkCount(this.metadata.size());
			String key = reader.nextName();
			if (reader.peek() != JsonToken.STRING || this.metadata.put(key, reader.nextString()) != null) {
				throw this.file.invalid("has damaged metadata " + OpenFile.shown(key) + " in its header", COPY_AGAIN);
			}
		}
		reader.endObject();
	}

	private void checkCount(int names) {
		if (names == MOST_NAMES) {
			throw this.file.invalid("has more than " + MOST_NAMES + " names in its header",
					"divide it into several files");
		}
	}

	private StoredTensor readTensor(String name, JsonReader reader) throws IOException {
		String dtype = null;
		List<Long> shape = null;
		List<Long> offsets = null;
		reader.beginObject();
		while (reader.hasNext()) {
			String key = reader.nextName();
			if (key.equals("dtype") && dtype == null && reader.peek() == JsonToken.STRING) {
				dtype = reader.nextString();
			}
			else if (key.equals("shape") && shape == null) {
				shape = readNumbers(reader);
			}
			else if (key.equals("data_offsets") && offsets == null) {
				offsets = readNumbers(reader);
			}
			else {
				throw damaged(name, "has an unexpected " + OpenFile.shown(key));
			}
		}
		reader.endObject();
		if (dtype == null || shape == null || offsets == null || offsets.size() != 2) {
			throw damaged(name, "lacks its dtype, shape or two data_offsets");
		}
		return place(name, dtype, shape, offsets.get(0), offsets.get(1));
	}

	private static List<Long> readNumbers(JsonReader reader) throws IOException {
		List<Long> numbers = new ArrayList<>();
		reader.beginArray();
		while (reader.hasNext()) {
			if (reader.peek() != JsonToken.NUMBER || numbers.size() == TensorEntry.MOST_DIMENSIONS) {
				throw new IOException("no number, or too many, at " + reader.getPath());
			}
			// nextLong would take 1.0 as well, and round what no long holds
			numbers.add(Long.parseLong(reader.nextString()));
		}
		reader.endArray();
		return numbers;
	}

	private StoredTensor place(String name, String dtype, List<Long> shape, long begin, long end) {
		ElementType type = TYPES.get(dtype);
		if (type == null) {
			throw this.file.invalid("the tensor " + OpenFile.shown(name) + " has the type " + OpenFile.shown(dtype)
					+ ", which is none of " + List.of(ElementType.values()), "convert it, for example to BF16");
		}
		long bytes = TensorEntry.bytes(type, shape);
		if (begin < 0 || end < begin || !this.file.holds(dataStart(), end)) {
			throw damaged(name, "lies at the bytes " + begin + " to " + end + " of " + (this.file.size() - dataStart())
					+ " bytes of data");
		}
		if (bytes != end - begin) {
			throw damaged(name, "has the shape " + OpenFile.shown(shape.toString()) + " of " + type + " in "
					+ (end - begin) + " bytes");
		}
		return new StoredTensor(new TensorEntry(name, type, shape), this.file, dataStart() + begin, null);
	}

	private void checkThatTensorsFillTheFile() {
		this.tensors
			.sort(Comparator.comparingLong(StoredTensor::offset).thenComparingLong((tensor) -> tensor.entry().bytes()));
		long expected = dataStart();
		for (StoredTensor tensor : this.tensors) {
			if (tensor.offset() != expected) {
				throw damaged(tensor.entry().name(), "overlaps with another or leaves a hole before it");
			}
			expected += tensor.entry().bytes();
		}
		if (expected != this.file.size()) {
			throw this.file.invalid("has " + (this.file.size() - expected) + " bytes that belong to no tensor",
					COPY_AGAIN);
		}
	}

	private void verifyChecksum() {
		String expected = this.metadata.get(CHECKSUM);
		if (expected == null) {
			return;
		}
		String actual = checksumOfFile(expected);
		if (!expected.equals(actual)) {
			throw this.file.invalid(
					"is damaged, or was changed by another program: its checksum is not the " + OpenFile.shown(expected)
							+ " written in it",
					"take a copy or an earlier checkpoint; if the change was intended, remove '" + CHECKSUM
							+ "' from the metadata");
		}
	}

	/** Without a copy of the header, which may be large. */
	private @Nullable String checksumOfFile(String digits) {
		byte[] member = checksumMember(digits).getBytes(StandardCharsets.UTF_8);
		int at = indexOf(member);
		if (at < 0 || digits.length() != NO_CHECKSUM.length()) {
			return null;
		}
		int digitsAt = at + checksumMember("").length() - 1;
		int behind = digitsAt + NO_CHECKSUM.length();
		CRC32C checksum = new CRC32C();
		this.file.digest(checksum, 0, Long.BYTES);
		checksum.update(this.json, 0, digitsAt);
		checksum.update(NO_CHECKSUM.getBytes(StandardCharsets.US_ASCII));
		checksum.update(this.json, behind, this.json.length - behind);
		this.file.digest(checksum, dataStart(), this.file.size() - dataStart());
		return hexadecimal(checksum);
	}

	private int indexOf(byte[] part) {
		for (int at = 0; at <= this.json.length - part.length; at++) {
			if (this.json[at] == part[0] && Arrays.equals(this.json, at, at + part.length, part, 0, part.length)) {
				return at;
			}
		}
		return -1;
	}

	static String checksumMember(String digits) {
		return "\"" + CHECKSUM + "\":\"" + digits + "\"";
	}

	static String hexadecimal(CRC32C checksum) {
		return String.format("%08x", checksum.getValue());
	}

	private InvalidInputException damaged(String name, String problem) {
		return this.file.invalid("the tensor " + OpenFile.shown(name) + " " + problem, COPY_AGAIN);
	}

}

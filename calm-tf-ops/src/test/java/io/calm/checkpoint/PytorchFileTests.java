package io.calm.checkpoint;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * State dicts of PyTorch. The pickles are written by hand: no library of ours can write
 * the malicious ones.
 */
class PytorchFileTests {

	/** A storage of six floats under the key 0. */
	private static final byte[] SIX = floats(0, 1, 2, 3, 4, 5);

	private final Path directory;

	PytorchFileTests(@TempDir Path directory) {
		this.directory = directory;
	}

	@Test
	void holdsTheSameTensorsAsTheSafetensorsOfTheReference() throws URISyntaxException {
		try (TensorFile pytorch = TensorFile.open(resource("pytorch_model.bin"));
				TensorFile safetensors = TensorFile.open(resource("model.safetensors"))) {
			assertThat(pytorch.entries()).hasSize(28).containsExactlyInAnyOrderEntriesOf(safetensors.entries());
			for (String name : safetensors.entries().keySet()) {
				assertThat(pytorch.readFloats(name)).as(name).isEqualTo(safetensors.readFloats(name));
			}
			// two names of one storage
			assertThat(pytorch.readFloats("decoder.lm_head_weight"))
				.isEqualTo(pytorch.readFloats("encoder.embed_tokens.weight"));
		}
	}

	@Test
	void tensorsAreViewsOfAStorage() throws IOException {
		Path path = archive(new Pickle().open()
			.tensor("all", "FloatStorage", 6, 0, new long[] { 2, 3 }, new long[] { 3, 1 })
			.tensor("tail", "FloatStorage", 6, 4, new long[] { 2 }, new long[] { 1 })
			.tensor("transposed", "FloatStorage", 6, 0, new long[] { 3, 2 }, new long[] { 1, 3 })
			.tensor("column", "FloatStorage", 6, 1, new long[] { 2, 1 }, new long[] { 3, 3 })
			.tensor("one", "FloatStorage", 6, 5, new long[] {}, new long[] {})
			.tensor("none", "FloatStorage", 6, 0, new long[] { 0, 2 }, new long[] { 2, 1 })
			.end(), SIX);
		try (TensorFile file = TensorFile.open(path)) {
			assertThat(file.entry("transposed")).isEqualTo(TensorEntry.of("transposed", ElementType.F32, 3, 2));
			assertThat(file.readFloats("all")).containsExactly(0, 1, 2, 3, 4, 5);
			assertThat(file.readFloats("tail")).containsExactly(4, 5);
			assertThat(file.readFloats("transposed")).containsExactly(0, 3, 1, 4, 2, 5);
			assertThat(file.readFloats("column")).containsExactly(1, 4);
			assertThat(file.readFloats("one")).containsExactly(5);
			assertThat(file.readFloats("none")).isEmpty();
		}
	}

	@Test
	void readsOtherTypes() throws IOException {
		Path halves = archive(
				new Pickle().open().tensor("h", "HalfStorage", 12, 0, new long[] { 1 }, new long[] { 1 }).end(),
				ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN).putShort((short) 0x3c00).array());
		try (TensorFile file = TensorFile.open(halves)) {
			assertThat(file.readFloats("h")).containsExactly(1);
		}
		Path longs = archive(
				new Pickle().open().tensor("l", "LongStorage", 3, 0, new long[] { 3 }, new long[] { 1 }).end(),
				ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN).putLong(-7).array());
		try (TensorFile file = TensorFile.open(longs)) {
			assertThat(file.readLongs("l")).containsExactly(-7, 0, 0);
		}
	}

	/** As protocol 4 writes an OrderedDict with its attribute _metadata. */
	@Test
	void readsNewerProtocolsAndAttributes() throws IOException {
		Pickle pickle = new Pickle().bytes(0x80, 4, 0x95, 0, 0, 0, 0, 0, 0, 0, 0)
			.shortText("collections")
			.bytes(0x94)
			.shortText("OrderedDict")
			.bytes(0x94, 0x93, 0x94, ')', 'R', 0x94, '(')
			.tensor("w", "FloatStorage", 6, 0, new long[] { 6 }, new long[] { 1 })
			.bytes('u', '}')
			.shortText("_metadata")
			.bytes('h', 2, ')', 'R', 's', 'b', '.');
		try (TensorFile file = TensorFile.open(archive(pickle.toByteArray(), SIX))) {
			assertThat(file.readFloats("w")).hasSize(6);
		}
	}

	@ParameterizedTest
	@CsvSource({ "os, system", "posix, system", "builtins, eval", "torch, load", "torch.storage, _load_from_bytes",
			"collections, OrderedDict.fromkeys" })
	void asksForNothingButTensors(String module, String name) throws IOException {
		byte[] call = new Pickle().bytes(0x80, 2)
			.global(module, name)
			.text("touch pwned")
			.bytes(0x85, 'R', '.')
			.toByteArray();
		byte[] stackCall = new Pickle().bytes(0x80, 4)
			.shortText(module)
			.shortText(name)
			.bytes(0x93, ')', 'R', '.')
			.toByteArray();
		for (byte[] pickle : new byte[][] { call, stackCall }) {
			Path path = archive(pickle, SIX);
			assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(path))
				.withMessageContaining(path.toString())
				.withMessageContaining("asks for '" + module + "." + name
						+ "', which a weight file has no use for; nothing was executed");
		}
	}

	/** Offset, size and stride that do not fit a storage of six. */
	@ParameterizedTest
	@CsvSource({ "1, 6, 1", "-1, 6, 1", "0, 7, 1", "0, 4, 2", "0, 6, -1", "0, 2, 6", "9223372036854775807, 1, 1",
			"0, 2, 9223372036854775807", "1, 2, 9223372036854775806", "0, -1, 1", "0, 9223372036854775807, 0",
			"0, 1000000000, 0" })
	void refusesTensorsOutsideTheirStorage(long offset, long size, long stride) throws IOException {
		Path path = archive(new Pickle().open()
			.tensor("w", "FloatStorage", 6, offset, new long[] { size }, new long[] { stride })
			.end(), SIX);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(path))
			.withMessageContaining("'w'")
			.withMessageContaining("does not lie within its storage of 6 elements");
	}

	@ParameterizedTest
	@ValueSource(longs = { 5, 7, -6, Long.MAX_VALUE, 6 + (1L << 62) })
	void refusesStoragesOfAnotherSize(long elements) throws IOException {
		Path path = archive(
				new Pickle().open().tensor("w", "FloatStorage", elements, 0, new long[] { 1 }, new long[] { 1 }).end(),
				SIX);
		assertThat(Outcome.of(path)).isFalse();
	}

	@Test
	void refusesWhatIsNoStateDict() throws IOException {
		Path number = archive(new Pickle().open().text("epoch").bytes('K', 3).end(), SIX);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(number))
			.withMessageContaining("'epoch', which is no tensor")
			.withMessageContaining("model.state_dict()");
		Path list = archive(new Pickle().bytes(0x80, 2, ']', '.').toByteArray(), SIX);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(list))
			.withMessageContaining("something else where a Map should be");
	}

	/** A list repeated by reference must not be copied each time. */
	@Test
	void refusesPicklesThatGrow() throws IOException {
		Pickle endless = new Pickle().bytes(0x80, 2);
		for (int i = 0; i < 1_000_001; i++) {
			endless.bytes('N');
		}
		Path path = archive(endless.toByteArray(), SIX);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(path))
			.withMessageContaining("more than 1000000 instructions");
		Path manyDimensions = archive(
				new Pickle().open().tensor("w", "FloatStorage", 6, 0, new long[65], new long[65]).end(), SIX);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(manyDimensions))
			.withMessageContaining("65 dimensions");
		Path longString = archive(new Pickle().bytes(0x80, 2, 'X', 0xff, 0xff, 0xff, 0x7f).toByteArray(), SIX);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(longString))
			.withMessageContaining("string of 2147483647 bytes");
		// a dict within itself, and one as the key of another
		for (int[] cycle : new int[][] { { '}', 'q', 0, 'K', 1, 'h', 0, 's', '.' }, { '}', '}', 'N', 's', '.' } }) {
			assertThat(Outcome.of(archive(new Pickle().bytes(0x80, 2).bytes(cycle).toByteArray(), SIX))).isFalse();
		}
	}

	@Test
	void everyFlippedByteOfThePickleIsRefusedOrHarmless() throws IOException {
		byte[] pickle = new Pickle().open()
			.tensor("w", "FloatStorage", 6, 0, new long[] { 3, 2 }, new long[] { 1, 3 })
			.tensor("v", "FloatStorage", 6, 2, new long[] { 2 }, new long[] { 1 })
			.end();
		int refused = 0;
		for (int at = 0; at < pickle.length; at++) {
			byte good = pickle[at];
			for (int mask : Outcome.FLIPS) {
				pickle[at] = (byte) (good ^ mask);
				// with a checksum that fits, or it would be refused for that
				refused += Outcome.of(archive(pickle, SIX)) ? 0 : 1;
			}
			pickle[at] = good;
		}
		assertThat(refused).isGreaterThan(pickle.length * Outcome.FLIPS.length / 2);
		for (int length = 0; length < pickle.length; length++) {
			assertThat(Outcome.of(archive(Arrays.copyOf(pickle, length), SIX))).isFalse();
		}
	}

	@Test
	void everyFlippedByteOfTheZipIsRefusedOrHarmless() throws IOException {
		Path path = archive(
				new Pickle().open().tensor("w", "FloatStorage", 6, 0, new long[] { 6 }, new long[] { 1 }).end(), SIX);
		byte[] bytes = Files.readAllBytes(path);
		for (int at = 0; at < bytes.length; at++) {
			for (int mask : Outcome.FLIPS) {
				bytes[at] ^= (byte) mask;
				Files.write(path, bytes);
				if (Outcome.of(path)) {
					try (TensorFile file = TensorFile.open(path)) {
						assertThat(file.readFloats("w")).as("byte %s", at).containsExactly(0, 1, 2, 3, 4, 5);
					}
				}
				bytes[at] ^= (byte) mask;
			}
		}
		for (int length = 0; length < bytes.length; length++) {
			Files.write(path, Arrays.copyOf(bytes, length));
			assertThat(Outcome.of(path)).as("truncated to %s", length).isFalse();
		}
	}

	/** Its directory is in the ZIP64 form, as torch.save writes it. */
	@Test
	void flippedDirectoriesOfTorchAreRefusedOrHarmless() throws IOException, URISyntaxException {
		byte[] bytes = Files.readAllBytes(resource("pytorch_model.bin"));
		Path path = this.directory.resolve("pytorch_model.bin");
		for (int at = bytes.length - 400; at < bytes.length; at++) {
			bytes[at] ^= (byte) 0xff;
			Files.write(path, bytes);
			Outcome.of(path);
			bytes[at] ^= (byte) 0xff;
		}
		Files.write(path, bytes);
		assertThat(Outcome.of(path)).isTrue();
	}

	@Test
	void damagedStoragesAreFound() throws IOException, URISyntaxException {
		byte[] bytes = Files.readAllBytes(resource("pytorch_model.bin"));
		bytes[bytes.length / 2] ^= 1;
		Path path = Files.write(this.directory.resolve("pytorch_model.bin"), bytes);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(path))
			.withMessageContaining("the checksum of 'pytorch_model/data/");
	}

	@Test
	void refusesArchivesOfAnotherKind() throws IOException {
		byte[] pickle = new Pickle().open().tensor("w", "FloatStorage", 6, 0, new long[] { 6 }, new long[] { 1 }).end();
		Map<String, byte[]> members = new LinkedHashMap<>(Map.of("m/data.pkl", pickle, "m/data/0", SIX));
		Path compressed = zip(members, ZipEntry.DEFLATED);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(compressed))
			.withMessageContaining("is compressed");
		members.put("m/byteorder", "big".getBytes(StandardCharsets.US_ASCII));
		Path bigEndian = zip(members, ZipEntry.STORED);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(bigEndian))
			.withMessageContaining("byte order 'big'");
		Path noStorage = zip(Map.of("m/data.pkl", pickle), ZipEntry.STORED);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(noStorage))
			.withMessageContaining("no member 'm/data/0'");
		Path noPickle = zip(Map.of("word/document.xml", pickle), ZipEntry.STORED);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(noPickle))
			.withMessageContaining("not of torch.save");
		Path legacy = Files.write(this.directory.resolve("legacy.bin"),
				new Pickle().bytes(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.')
					.toByteArray());
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(legacy))
			.withMessageContaining("before PyTorch 1.6")
			.withMessageContaining("save it again");
	}

	private Path archive(byte[] pickle, byte[] storage) throws IOException {
		Map<String, byte[]> members = new LinkedHashMap<>();
		members.put("m/data.pkl", pickle);
		members.put("m/byteorder", "little".getBytes(StandardCharsets.US_ASCII));
		members.put("m/data/0", storage);
		return zip(members, ZipEntry.STORED);
	}

	private Path zip(Map<String, byte[]> members, int method) throws IOException {
		Path path = this.directory.resolve("pytorch_model.bin");
		try (OutputStream out = Files.newOutputStream(path); ZipOutputStream zip = new ZipOutputStream(out)) {
			for (Map.Entry<String, byte[]> member : members.entrySet()) {
				ZipEntry entry = new ZipEntry(member.getKey());
				CRC32 checksum = new CRC32();
				checksum.update(member.getValue());
				entry.setMethod(method);
				entry.setSize(member.getValue().length);
				entry.setCrc(checksum.getValue());
				zip.putNextEntry(entry);
				zip.write(member.getValue());
			}
		}
		return path;
	}

	private static Path resource(String name) throws URISyntaxException {
		URL url = PytorchFileTests.class.getResource("/reference/autoencoder/" + name);
		return Path.of(Objects.requireNonNull(url).toURI());
	}

	private static byte[] floats(float... values) {
		ByteBuffer bytes = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
		bytes.asFloatBuffer().put(values);
		return bytes.array();
	}

	/** Writes the instructions of a pickle. */
	private static final class Pickle extends ByteArrayOutputStream {

		Pickle bytes(int... bytes) {
			Arrays.stream(bytes).forEach(this::write);
			return this;
		}

		Pickle open() {
			return bytes(0x80, 2, '}', '(');
		}

		byte[] end() {
			return bytes('u', '.').toByteArray();
		}

		Pickle global(String module, String name) {
			bytes('c').writeBytes((module + "\n" + name + "\n").getBytes(StandardCharsets.UTF_8));
			return this;
		}

		Pickle text(String text) {
			bytes('X', text.length(), 0, 0, 0).writeBytes(text.getBytes(StandardCharsets.UTF_8));
			return this;
		}

		Pickle shortText(String text) {
			bytes(0x8c, text.length()).writeBytes(text.getBytes(StandardCharsets.UTF_8));
			return this;
		}

		Pickle number(long number) {
			bytes(0x8a, 8).writeBytes(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(number).array());
			return this;
		}

		Pickle numbers(long[] numbers) {
			bytes('(');
			Arrays.stream(numbers).forEach(this::number);
			return bytes('t');
		}

		Pickle tensor(String name, String storage, long elements, long offset, long[] size, long[] stride) {
			return text(name).global("torch._utils", "_rebuild_tensor_v2")
				.bytes('(', '(')
				.text("storage")
				.global("torch", storage)
				.text("0")
				.text("cpu")
				.number(elements)
				.bytes('t', 'Q')
				.number(offset)
				.numbers(size)
				.numbers(stride)
				.bytes(0x89)
				.global("collections", "OrderedDict")
				.bytes(')', 'R', 't', 'R');
		}

	}

}

package io.calm.checkpoint;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;

import com.sun.management.ThreadMXBean;
import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

class SafetensorsTests {

	private static final String ONE_TENSOR = "{'w':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}}";

	private final Path directory;

	SafetensorsTests(@TempDir Path directory) {
		this.directory = directory;
	}

	@Test
	void writtenTensorsAreReadBackInOrder() {
		Path path = writeSmall();
		try (TensorFile file = TensorFile.open(path)) {
			assertThat(file.entries().keySet()).containsExactly("ids", "w", "b");
			assertThat(file.entry("w")).isEqualTo(TensorEntry.of("w", ElementType.F32, 2, 3));
			assertThat(file.entry("w").elements()).isEqualTo(6);
			assertThat(file.readLongs("ids")).containsExactly(Long.MIN_VALUE, 7);
			assertThat(file.readFloats("w")).containsExactly(1, -2, 3.5f, Float.NaN, Float.MIN_VALUE, 1e30f);
			// nearest, ties to even: 1 + 2^-8 lies between 1 and 1 + 2^-7
			assertThat(file.readFloats("b")).containsExactly(1f, 1 + 0x1p-6f, Float.POSITIVE_INFINITY);
			assertThat(file.metadata()).containsEntry("format", "pt");
		}
	}

	@Test
	void headerIsPaddedSoThatDataIsAligned() throws IOException {
		byte[] bytes = Files.readAllBytes(writeSmall());
		assertThat(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong() % 8).isZero();
	}

	@ParameterizedTest
	@EnumSource(names = { "F32", "BF16", "F64" })
	void readsPieceAfterPiece(ElementType type) throws IOException {
		float[] values = new float[100_003];
		ByteBuffer data = ByteBuffer.allocate(values.length * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
		for (int i = 0; i < values.length; i++) {
			values[i] = i % 251;
			switch (type) {
				case F32 -> data.putFloat(values[i]);
				case F64 -> data.putDouble(values[i]);
				default -> data.putShort(ElementType.floatToBfloat16(values[i]));
			}
		}
		List<Integer> sizes = new ArrayList<>();
		FloatBuffer all = FloatBuffer.allocate(values.length);
		try (TensorFile file = TensorFile.open(file("{'w':{'dtype':'%s','shape':[%d],'data_offsets':[0,%d]}}"
			.formatted(type, values.length, data.capacity()), data.array()))) {
			file.read("w", (piece) -> {
				sizes.add(piece.remaining());
				all.put(piece);
			});
		}
		assertThat(sizes).hasSizeGreaterThan(3).allMatch((size) -> size <= 1 << 15);
		assertThat(all.array()).isEqualTo(values);
	}

	@Test
	void anInterruptOfOneReaderIsTheReasonForAll() throws IOException {
		byte[] data = new byte[1 << 20];
		try (TensorFile file = TensorFile
			.open(file("{'w':{'dtype':'F32','shape':[262144],'data_offsets':[0,1048576]}}", data))) {
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> file.read("w", (piece) -> Thread.currentThread().interrupt()))
				.withCauseInstanceOf(ClosedByInterruptException.class);
			assertThat(Thread.interrupted()).isTrue();
			assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> file.readFloats("w"))
				.withCauseInstanceOf(ClosedByInterruptException.class);
		}
	}

	@Test
	void readsEveryTypeAnotherProgramWrites() throws IOException {
		ByteBuffer data = ByteBuffer.allocate(37).order(ByteOrder.LITTLE_ENDIAN);
		data.putDouble(0.1).putInt(-1).putInt(-2);
		data.putShort((short) 0x3c01).putShort((short) 0x8001).putShort((short) 0xfc00).putShort((short) 0x7bff);
		data.putShort((short) 0xc049).putShort((short) -3).putShort((short) -4);
		data.put((byte) -5).put((byte) -6).put((byte) 1).put((byte) 0).put((byte) 1).put((byte) 1).put((byte) 1);
		Path path = file("""
				{'f64':{'dtype':'F64','shape':[],'data_offsets':[0,8]},
				'u32':{'dtype':'U32','shape':[1],'data_offsets':[8,12]},
				'i32':{'dtype':'I32','shape':[1],'data_offsets':[12,16]},
				'f16':{'dtype':'F16','shape':[2,2],'data_offsets':[16,24]},
				'bf16':{'dtype':'BF16','shape':[1],'data_offsets':[24,26]},
				'u16':{'dtype':'U16','shape':[1],'data_offsets':[26,28]},
				'i16':{'dtype':'I16','shape':[1],'data_offsets':[28,30]},
				'u8':{'dtype':'U8','shape':[1],'data_offsets':[30,31]},
				'i8':{'dtype':'I8','shape':[1],'data_offsets':[31,32]},
				'bool':{'dtype':'BOOL','shape':[5],'data_offsets':[32,37]},
				'none':{'dtype':'F32','shape':[3,0],'data_offsets':[37,37]}}""", data.array());
		try (TensorFile file = TensorFile.open(path)) {
			assertThat(file.readFloats("f64")).containsExactly(0.1f);
			assertThat(file.readFloats("f16")).containsExactly(1 + 0x1p-10f, -0x1p-24f, Float.NEGATIVE_INFINITY,
					65504f);
			assertThat(file.readFloats("bf16")).containsExactly(-3.140625f);
			assertThat(file.readLongs("u32")).containsExactly(0xffffffffL);
			assertThat(file.readLongs("i32")).containsExactly(-2);
			assertThat(file.readLongs("u16")).containsExactly(0xfffd);
			assertThat(file.readLongs("i16")).containsExactly(-4);
			assertThat(file.readLongs("u8")).containsExactly(0xfb);
			assertThat(file.readLongs("i8")).containsExactly(-6);
			assertThat(file.readLongs("bool")).containsExactly(1, 0, 1, 1, 1);
			assertThat(file.readFloats("none")).isEmpty();
			assertThat(file.metadata()).isEmpty();
		}
	}

	@Test
	void readsATensorLargerThanOneWindow() {
		int elements = OpenFile.WINDOW / Float.BYTES + 5;
		float[] values = new float[elements];
		for (int i = 0; i < elements; i++) {
			values[i] = i;
		}
		Path path = this.directory.resolve("large.safetensors");
		try (var writer = SafetensorsWriter.create(path, List.of(TensorEntry.of("small", ElementType.F32, 1),
				TensorEntry.of("large", ElementType.F32, elements)))) {
			writer.write("small", FloatBuffer.wrap(new float[1])).write("large", FloatBuffer.wrap(values));
		}
		try (TensorFile file = TensorFile.open(path)) {
			assertThat(Arrays.equals(file.readFloats("large"), values)).isTrue();
		}
	}

	@Test
	void readsBeyondTwoGigabytes() throws IOException {
		long large = 5L << 30;
		Path path = file(
				"{'large':{'dtype':'F32','shape':[" + large / 4 + "],'data_offsets':[0," + large
						+ "]},'w':{'dtype':'F32','shape':[1],'data_offsets':[" + large + "," + (large + 4) + "]}}",
				new byte[0]);
		// sparse: takes no space on the disk
		try (RandomAccessFile sparse = new RandomAccessFile(path.toFile(), "rw")) {
			sparse.seek(sparse.length() + large);
			sparse.write(new byte[] { 0, 0, (byte) 0x80, 0x3f });
		}
		try (TensorFile file = TensorFile.open(path)) {
			assertThat(file.readFloats("w")).containsExactly(1);
		}
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', quoteCharacter = '`',
			textBlock = """
					{'w':{'dtype':'F32','shape':[2],'data_offsets':[0,4]}}                           | 'w' has the shape '[2]'
					{'w':{'dtype':'F32','shape':[3],'data_offsets':[0,12]}}                          | 'w' lies at the bytes 0 to 12
					{'w':{'dtype':'F32','shape':[-2],'data_offsets':[0,8]}}                          | 'w' has the shape
					{'w':{'dtype':'F32','shape':[4611686018427387905,2],'data_offsets':[0,8]}}       | 'w' has the shape
					{'w':{'dtype':'F32','shape':[2],'data_offsets':[-8,0]}}                          | 'w' lies at
					{'w':{'dtype':'F32','shape':[2],'data_offsets':[8,0]}}                           | 'w' lies at
					{'w':{'dtype':'F32','shape':[2],'data_offsets':[0,9223372036854775807]}}         | 'w' lies at
					{'w':{'dtype':'F32','shape':[2],'data_offsets':[0,9223372036854775808]}}         | damaged header
					{'w':{'dtype':'F32','shape':['2'],'data_offsets':[0,8]}}                         | damaged header
					{'w':{'dtype':'F32','shape':[2.0],'data_offsets':[0,8]}}                         | damaged header
					{'w':{'dtype':'F32','shape':[2.5],'data_offsets':[0,8]}}                         | damaged header
					{'w':{'dtype':'F32','shape':[2],'data_offsets':[0]}}                             | 'w' lacks
					{'w':{'dtype':'F32','shape':[2]}}                                                | 'w' lacks
					{'w':{'dtype':'F33','shape':[2],'data_offsets':[0,8]}}                           | 'F33'
					{'w':{'dtype':'F32','shape':[2],'data_offsets':[0,8],'x':1}}                     | unexpected 'x'
					{'w':{'dtype':'F32','shape':[1],'data_offsets':[0,4]}}                           | 4 bytes that belong to no tensor
					{'w':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}}                           | leaves a hole
					{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},'w':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}} | 'w' overlaps
					{'w':{'dtype':'F32','shape':[1],'data_offsets':[0,4]},'w':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}} | 'w' twice
					{'__metadata__':{'a':1},'w':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}}    | damaged metadata 'a'
					{'__metadata__':{'calm.crc32c':'0'},'w':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}} | checksum
					{'w':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}                            | damaged header
					{'w':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}} x                         | damaged header
					{} {}                                                                            | damaged header""")
	void refusesWhatTheFormatForbids(String header, String problem) throws IOException {
		Path path = file(header, new byte[8]);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(path))
			.withMessageContaining(path.toString())
			.withMessageContaining(problem);
	}

	@ParameterizedTest
	@ValueSource(longs = { -1, Long.MIN_VALUE, Long.MAX_VALUE, 100_000_001, 1000 })
	void refusesAHeaderThatIsLongerThanTheFile(long length) throws IOException {
		Path path = file(ONE_TENSOR, new byte[8]);
		byte[] bytes = Files.readAllBytes(path);
		ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
		Files.write(path, bytes);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(path))
			.withMessageContaining("claims a header of");
	}

	@Test
	void refusesMoreNamesThanAnyModelHas() throws IOException {
		StringBuilder header = new StringBuilder("{");
		for (int i = 0; i <= 100_000; i++) {
			header.append("'").append(i).append("':{'dtype':'U8','shape':[0],'data_offsets':[0,0]},");
		}
		header.setCharAt(header.length() - 1, '}');
		Path path = file(header.toString(), new byte[0]);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(path))
			.withMessageContaining("more than 100000 names");
	}

	/** Once, and nothing that grows with it beside. */
	@Test
	void headerIsHeldOnce() throws IOException {
		String header = "{'__metadata__':{'calm.crc32c':'%s'}," + ONE_TENSOR.substring(1) + " ".repeat(32 << 20);
		byte[] bytes = Files.readAllBytes(file(String.format(header, SafetensorsHeader.NO_CHECKSUM), new byte[8]));
		CRC32C checksum = new CRC32C();
		checksum.update(bytes);
		Path path = file(String.format(header, SafetensorsHeader.hexadecimal(checksum)), new byte[8]);
		ThreadMXBean thread = (ThreadMXBean) ManagementFactory.getThreadMXBean();
		long before = thread.getCurrentThreadAllocatedBytes();
		try (TensorFile file = TensorFile.open(path)) {
			assertThat(thread.getCurrentThreadAllocatedBytes() - before).isLessThan(40 << 20);
			assertThat(file.readFloats("w")).containsExactly(0, 0);
		}
	}

	@Test
	void controlCharactersOfAFileDoNotReachTheTerminal() throws IOException {
		Path path = file(ONE_TENSOR.replace("'w'", "'\\u001b[2J'").replace("[2]", "[3]"), new byte[8]);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(path))
			.withMessageContaining("'?[2J'");
	}

	/** Ours carries a checksum of everything. */
	@Test
	void everyFlippedBitOfOurFilesIsFound() throws IOException {
		Path path = writeSmall();
		byte[] bytes = Files.readAllBytes(path);
		int key = new String(bytes, StandardCharsets.ISO_8859_1).indexOf(SafetensorsHeader.CHECKSUM);
		for (int at = 0; at < bytes.length; at++) {
			for (int bit = 0; bit < 8; bit++) {
				// under another name it is no checksum, but nothing else is damaged then
				if (at >= key && at < key + SafetensorsHeader.CHECKSUM.length()) {
					continue;
				}
				bytes[at] ^= (byte) (1 << bit);
				Files.write(path, bytes);
				assertThatExceptionOfType(InvalidInputException.class).as("bit %s of byte %s", bit, at)
					.isThrownBy(() -> TensorFile.open(path));
				bytes[at] ^= (byte) (1 << bit);
			}
		}
	}

	@Test
	void flippedDataIsReportedAsDamage() throws IOException {
		Path path = writeSmall();
		byte[] bytes = Files.readAllBytes(path);
		bytes[bytes.length - 1] ^= 1;
		Files.write(path, bytes);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(path))
			.withMessageContaining("is damaged")
			.withMessageContaining("earlier checkpoint");
	}

	/** Without a checksum a flip in a name is harmless; all else must be refused. */
	@Test
	void flippedHeadersOfOtherFilesAreRefusedOrHarmless() throws IOException {
		Path path = file("{'__metadata__':{'format':'pt'}," + ONE_TENSOR.substring(1), new byte[8]);
		byte[] bytes = Files.readAllBytes(path);
		int refused = 0;
		for (int at = 0; at < bytes.length; at++) {
			byte good = bytes[at];
			for (int mask : Outcome.FLIPS) {
				bytes[at] = (byte) (good ^ mask);
				Files.write(path, bytes);
				refused += Outcome.of(path) ? 0 : 1;
			}
			bytes[at] = good;
		}
		assertThat(refused).isGreaterThan(bytes.length * Outcome.FLIPS.length * 3 / 4);
	}

	@Test
	void everyTruncationIsRefused() throws IOException {
		Path path = file(ONE_TENSOR, new byte[8]);
		byte[] bytes = Files.readAllBytes(path);
		for (int length = 0; length < bytes.length; length++) {
			Files.write(path, Arrays.copyOf(bytes, length));
			assertThat(Outcome.of(path)).as("truncated to %s", length).isFalse();
		}
	}

	@Test
	void refusesFilesOfAnotherKind() throws IOException {
		Path path = this.directory.resolve("model.safetensors");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(path))
			.withMessageContaining("does not exist");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(this.directory))
			.withMessageContaining("is not a file");
		Files.writeString(path, "version https://git-lfs.github.com/spec/v1\noid sha256:00\n");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(path))
			.withMessageContaining("git lfs pull");
		Files.writeString(path, "<html>Not found</html>");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> TensorFile.open(path))
			.withMessageContaining("neither a safetensors file nor");
	}

	@Test
	void refusesToReadWhatIsNotThere() {
		TensorFile file = TensorFile.open(writeSmall());
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> file.readFloats("x"))
			.withMessageContaining("has no tensor 'x'");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> file.readFloats("ids"))
			.withMessageContaining("'ids' is of type I64");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> file.readLongs("w"))
			.withMessageContaining("'w' is of type F32");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> file.read("ids", (piece) -> {
		})).withMessageContaining("'ids' is of type I64");
		file.close();
		assertThatIllegalStateException().isThrownBy(() -> file.readFloats("w")).withMessageContaining("closed");
	}

	@Test
	void writerTakesTensorsInTheOrderDeclared() {
		Path path = this.directory.resolve("w.safetensors");
		var first = TensorEntry.of("first", ElementType.F32, 2);
		var second = TensorEntry.of("second", ElementType.F32, 2);
		SafetensorsWriter writer = SafetensorsWriter.create(path, List.of(first, second));
		assertThatIllegalArgumentException().isThrownBy(() -> writer.write("second", FloatBuffer.allocate(2)));
		assertThatIllegalArgumentException().isThrownBy(() -> writer.write("first", FloatBuffer.allocate(3)));
		assertThatIllegalArgumentException().isThrownBy(() -> writer.write("first", LongBuffer.allocate(2)));
		writer.write("first", FloatBuffer.allocate(2));
		assertThat(path).exists();
		assertThatIllegalStateException().isThrownBy(writer::close).withMessageContaining("second was not written");
		assertThat(path).doesNotExist();
	}

	@Test
	void writerRefusesWhatOthersCouldNotRead() {
		Path path = this.directory.resolve("w.safetensors");
		var narrow = TensorEntry.of("narrow", ElementType.BF16, 1);
		var wide = TensorEntry.of("wide", ElementType.F32, 1);
		for (List<TensorEntry> tensors : List.of(List.of(narrow, wide), List.of(wide, wide),
				List.of(TensorEntry.of("__metadata__", ElementType.F32, 1)),
				List.of(TensorEntry.of("half", ElementType.F16, 1)))) {
			assertThatIllegalArgumentException().isThrownBy(() -> SafetensorsWriter.create(path, tensors));
		}
		assertThat(path).doesNotExist();
		assertThatIllegalArgumentException().isThrownBy(() -> TensorEntry.of("w", ElementType.F32, -1));
	}

	@Test
	void fullDiskIsReportedWithThePath() throws IOException {
		Path path = fullDisk(this.directory.resolve("w.safetensors"));
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> SafetensorsWriter.create(path, List.of()))
			.withMessageContaining("w.safetensors cannot be written: No space left on device");
		assertThat(Path.of("/dev/full")).exists();
		Files.delete(path);
	}

	@Test
	void missingDirectoryIsReportedWithThePath() {
		Path path = this.directory.resolve("missing/w.safetensors");
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> SafetensorsWriter.create(path, List.of()))
			.withMessageContaining(path + " cannot be written: NoSuchFileException");
	}

	/** A link to the device on which every write fails as on a full disk. */
	static Path fullDisk(Path path) throws IOException {
		assumeTrue(Files.exists(Path.of("/dev/full")), "a system with /dev/full");
		return Files.createSymbolicLink(path, Path.of("/dev/full"));
	}

	private Path writeSmall() {
		Path path = this.directory.resolve("small.safetensors");
		try (var writer = SafetensorsWriter.create(path, List.of(TensorEntry.of("ids", ElementType.I64, 2),
				TensorEntry.of("w", ElementType.F32, 2, 3), TensorEntry.of("b", ElementType.BF16, 3)))) {
			writer.write("ids", LongBuffer.wrap(new long[] { Long.MIN_VALUE, 7 }))
				.write("w", FloatBuffer.wrap(new float[] { 1, -2, 3.5f, Float.NaN, Float.MIN_VALUE, 1e30f }))
				.write("b", FloatBuffer.wrap(new float[] { 1 + 0x1p-8f, 1 + 0x3p-8f, Float.MAX_VALUE }));
		}
		return path;
	}

	private Path file(String header, byte[] data) throws IOException {
		byte[] json = header.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
		ByteBuffer bytes = ByteBuffer.allocate(8 + json.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
		bytes.putLong(json.length).put(json).put(data);
		return Files.write(this.directory.resolve("model.safetensors"), bytes.array());
	}

}

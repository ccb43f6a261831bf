package io.calm.checkpoint;

import java.io.IOException;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.zip.CRC32C;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.calm.input.InvalidInputException;

/**
 * Writes a safetensors file, one tensor after the other, so that the weights need never
 * be in memory as a whole. Any reader of the format reads it; ours also verifies the
 * checksum (CRC-32C) in its metadata.
 *
 * <pre>{@code
 * var norm = TensorEntry.of("transformer.norm.weight", ElementType.F32, 768);
 * try (var writer = SafetensorsWriter.create(file, List.of(norm))) {
 *     writer.write(norm.name(), values);
 * }
 * }</pre>
 *
 * The file is complete, and on the disk, once {@link #close()} has returned. If anything
 * fails before that, it is removed.
 */
public final class SafetensorsWriter implements AutoCloseable {

	private static final int CHUNK = 1 << 20;

	private final Path file;

	private final List<TensorEntry> tensors;

	private final FileChannel channel;

	private final CRC32C checksum = new CRC32C();

	private final ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK).order(ByteOrder.LITTLE_ENDIAN);

	private final long checksumPosition;

	private int written;

	private SafetensorsWriter(Path file, List<TensorEntry> tensors, FileChannel channel) throws IOException {
		this.file = file;
		this.tensors = tensors;
		this.channel = channel;
		String header = header(tensors);
		this.checksumPosition = Long.BYTES + header.indexOf(SafetensorsHeader.NO_CHECKSUM);
		byte[] json = header.getBytes(StandardCharsets.UTF_8);
		append(ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(0, json.length));
		append(ByteBuffer.wrap(json));
	}

	/**
	 * Begins a file; one that exists is overwritten.
	 * @param file where to write
	 * @param tensors what will be written, in this order: F32, BF16 and I64, those with
	 * wider elements first if a narrow one would leave the next unaligned
	 * @return the writer, which the caller closes
	 * @throws IllegalArgumentException if a name occurs twice, a type is another, or a
	 * tensor would not begin at a multiple of its elements' size
	 * @throws InvalidInputException if the file cannot be written, with its path
	 */
	public static SafetensorsWriter create(Path file, List<TensorEntry> tensors) {
		check(tensors);
		try {
			FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.CREATE,
					StandardOpenOption.TRUNCATE_EXISTING);
			try {
				return new SafetensorsWriter(file, List.copyOf(tensors), channel);
			}
			catch (IOException | RuntimeException ex) {
				discard(file, channel);
				throw ex;
			}
		}
		catch (IOException ex) {
			throw OpenFile.unwritable(file, ex);
		}
	}

	private static void check(List<TensorEntry> tensors) {
		Set<String> names = new HashSet<>(Set.of(SafetensorsHeader.METADATA));
		long offset = 0;
		for (TensorEntry tensor : tensors) {
			if (!names.add(tensor.name())) {
				throw new IllegalArgumentException("the name " + tensor.name() + " is taken");
			}
			switch (tensor.type()) {
				case F32, BF16, I64 -> {
				}
				default -> throw new IllegalArgumentException(
						tensor.name() + " is of type " + tensor.type() + "; F32, BF16 and I64 can be written");
			}
			// PyTorch views the bytes in place, which takes alignment
			if (offset % tensor.type().bytes() != 0) {
				throw new IllegalArgumentException(
						tensor.name() + " would not be aligned; put tensors with wider elements first");
			}
			offset = Math.addExact(offset, tensor.bytes());
		}
	}

	private static String header(List<TensorEntry> tensors) {
		JsonObject metadata = new JsonObject();
		metadata.addProperty(SafetensorsHeader.CHECKSUM, SafetensorsHeader.NO_CHECKSUM);
		// transformers refuses files without it
		metadata.addProperty("format", "pt");
		JsonObject header = new JsonObject();
		header.add(SafetensorsHeader.METADATA, metadata);
		long offset = 0;
		for (TensorEntry tensor : tensors) {
			JsonArray shape = new JsonArray();
			tensor.shape().forEach(shape::add);
			JsonArray offsets = new JsonArray();
			offsets.add(offset);
			offset += tensor.bytes();
			offsets.add(offset);
			JsonObject entry = new JsonObject();
			entry.addProperty("dtype", tensor.type().name());
			entry.add("shape", shape);
			entry.add("data_offsets", offsets);
			header.add(tensor.name(), entry);
		}
		String json = header.toString();
		int length = json.getBytes(StandardCharsets.UTF_8).length;
		return json + " ".repeat(Math.floorMod(-length, Long.BYTES));
	}

	/**
	 * Writes the next tensor, of type F32, or BF16 by rounding to the nearest.
	 * @param name its name, the next one in the order given to {@link #create}
	 * @param values its elements in row-major order: all that remain in the buffer
	 * @return this writer
	 * @throws IllegalArgumentException if another tensor is the next, or it has another
	 * type or size
	 * @throws InvalidInputException if the file cannot be written, with its path
	 */
	public SafetensorsWriter write(String name, FloatBuffer values) {
		TensorEntry tensor = next(name, values);
		FloatBuffer source = values.duplicate();
		switch (tensor.type()) {
			case F32 -> append(source, Float.BYTES, () -> {
				FloatBuffer part = source.slice(source.position(), this.chunk.limit() / Float.BYTES);
				this.chunk.asFloatBuffer().put(part);
				source.position(source.position() + part.capacity());
			});
			case BF16 -> append(source, Short.BYTES, () -> {
				for (int position = 0; position < this.chunk.limit(); position += Short.BYTES) {
					this.chunk.putShort(position, ElementType.floatToBfloat16(source.get()));
				}
			});
			default -> throw new IllegalArgumentException(name + " is of type " + tensor.type());
		}
		return this;
	}

	/**
	 * Writes the next tensor, of type I64.
	 * @param name its name, the next one in the order given to {@link #create}
	 * @param values its elements in row-major order: all that remain in the buffer
	 * @return this writer
	 * @throws IllegalArgumentException if another tensor is the next, or it has another
	 * type or size
	 * @throws InvalidInputException if the file cannot be written, with its path
	 */
	public SafetensorsWriter write(String name, LongBuffer values) {
		TensorEntry tensor = next(name, values);
		if (tensor.type() != ElementType.I64) {
			throw new IllegalArgumentException(name + " is of type " + tensor.type());
		}
		LongBuffer source = values.duplicate();
		append(source, Long.BYTES, () -> {
			for (int position = 0; position < this.chunk.limit(); position += Long.BYTES) {
				this.chunk.putLong(position, source.get());
			}
		});
		return this;
	}

	private TensorEntry next(String name, Buffer values) {
		if (this.written == this.tensors.size() || !this.tensors.get(this.written).name().equals(name)) {
			throw new IllegalArgumentException(name + " is not the next tensor to write to " + this.file);
		}
		TensorEntry tensor = this.tensors.get(this.written);
		if (tensor.elements() != values.remaining()) {
			throw new IllegalArgumentException(
					name + " has the shape " + tensor.shape() + ", but " + values.remaining() + " values were given");
		}
		return tensor;
	}

	private void append(Buffer source, int elementSize, Runnable fillChunk) {
		try {
			while (source.hasRemaining()) {
				this.chunk.clear().limit((int) Math.min(CHUNK, (long) source.remaining() * elementSize));
				fillChunk.run();
				append(this.chunk);
			}
			this.written++;
		}
		catch (IOException ex) {
			throw OpenFile.unwritable(this.file, ex);
		}
	}

	private void append(ByteBuffer bytes) throws IOException {
		this.checksum.update(bytes.duplicate());
		while (bytes.hasRemaining()) {
			this.channel.write(bytes);
		}
	}

	/**
	 * Completes the file and waits until it is on the disk. If not all tensors have been
	 * written, the file is removed.
	 * @throws IllegalStateException if not all tensors have been written
	 * @throws InvalidInputException if the file cannot be written, with its path
	 */
	@Override
	public void close() {
		if (!this.channel.isOpen()) {
			return;
		}
		if (this.written < this.tensors.size()) {
			discard(this.file, this.channel);
			throw new IllegalStateException(
					this.tensors.get(this.written).name() + " was not written; " + this.file + " has been removed");
		}
		try {
			ByteBuffer digits = StandardCharsets.US_ASCII.encode(SafetensorsHeader.hexadecimal(this.checksum));
			while (digits.hasRemaining()) {
				this.channel.write(digits, this.checksumPosition + digits.position());
			}
			this.channel.force(true);
			this.channel.close();
		}
		catch (IOException ex) {
			discard(this.file, this.channel);
			throw OpenFile.unwritable(this.file, ex);
		}
	}

	private static void discard(Path file, FileChannel channel) {
		try (channel) {
			// never a device, such as /dev/null
			if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
				Files.delete(file);
			}
		}
		catch (IOException ex) {
			// the failure that led here is the one to report
		}
	}

}

package io.calm.checkpoint;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Predicate;

import io.calm.input.InvalidInputException;

/**
 * Named tensors in a file: safetensors, or a state dict that {@code torch.save} wrote
 * ({@code pytorch_model.bin}). Opening reads and checks the list of tensors, and the
 * checksums where the file has some; the values are read one tensor at a time. The file
 * is not trusted: nothing in it is executed, and a damaged or malicious one ends in an
 * {@link InvalidInputException}.
 * <p>
 * Several threads may read at once. The file must not be shortened while it is open;
 * replacing it by a rename is safe.
 *
 * @see <a href="https://github.com/huggingface/safetensors#format">The safetensors
 * format</a>
 */
public final class TensorFile implements AutoCloseable {

	private static final byte[] ZIP = { 'P', 'K', 3, 4 };

	private static final byte[] GIT_LFS = "version https://git-lfs".getBytes(StandardCharsets.US_ASCII);

	/**
	 * The beginning of the pickle with which torch.save marked files before PyTorch 1.6.
	 */
	private static final byte[] LEGACY_TORCH = { (byte) 0x80, 2, (byte) 0x8a, 10, 0x6c, (byte) 0xfc, (byte) 0x9c, 0x46,
			(byte) 0xf9 };

	private final List<OpenFile> files = new ArrayList<>();

	private final Map<String, StoredTensor> tensors = new LinkedHashMap<>();

	private final Map<String, TensorEntry> entries = new LinkedHashMap<>();

	/** What an adapter adds to some of them. */
	private final Map<String, Adapter.Change> changes = new HashMap<>();

	private final Map<String, String> metadata = new LinkedHashMap<>();

	private TensorFile() {
	}

	/**
	 * Opens a file; its content, not its name, tells the format.
	 * @param file a safetensors file or a PyTorch state dict
	 * @return the open file, which the caller closes
	 * @throws InvalidInputException if there is no such file, or it is damaged, truncated
	 * or of another kind
	 */
	public static TensorFile open(Path file) {
		return open(List.of(file));
	}

	/** Opens the parts of a sharded checkpoint as one file. */
	static TensorFile open(List<Path> shards) {
		TensorFile result = new TensorFile();
		try {
			for (Path shard : shards) {
				result.add(shard);
			}
			return result;
		}
		catch (RuntimeException | Error ex) {
			result.close();
			throw ex;
		}
	}

	private void add(Path path) {
		OpenFile file = OpenFile.open(path);
		this.files.add(file);
		for (StoredTensor tensor : parse(file)) {
			String name = tensor.entry().name();
			if (this.tensors.putIfAbsent(name, tensor) != null) {
				throw file.invalid("holds the tensor " + OpenFile.shown(name) + " a second time",
						"each tensor belongs into one file");
			}
			this.entries.put(name, tensor.entry());
		}
	}

	/** Closes a further file with this one. */
	void keepOpen(OpenFile file) {
		this.files.add(file);
	}

	/** Adds something to a tensor whenever it is read. */
	void change(String name, Adapter.Change change) {
		this.changes.put(name, change);
	}

	private List<StoredTensor> parse(OpenFile file) {
		ByteBuffer start = file.bytes(0, (int) Math.min(64, file.size()));
		if (start.limit() > 8 && start.get(8) == '{') {
			Map<String, String> remarks = new LinkedHashMap<>();
			List<StoredTensor> tensors = SafetensorsHeader.read(file, remarks);
			this.metadata.putAll(remarks);
			return tensors;
		}
		if (startsWith(start, ZIP)) {
			return PytorchArchive.read(file);
		}
		if (startsWith(start, LEGACY_TORCH)) {
			throw file.invalid("is in the format of torch.save before PyTorch 1.6",
					"load it with PyTorch and save it again as safetensors");
		}
		if (startsWith(start, GIT_LFS)) {
			throw file.invalid("is only a pointer of Git LFS, not the weights", "fetch them with 'git lfs pull'");
		}
		throw file.invalid("is neither a safetensors file nor a PyTorch zip file",
				"check what was downloaded or copied");
	}

	private static boolean startsWith(ByteBuffer bytes, byte[] magic) {
		return bytes.limit() >= magic.length && bytes.slice(0, magic.length).equals(ByteBuffer.wrap(magic));
	}

	/**
	 * The tensors, by name, in the order of the file.
	 * @return an unmodifiable map
	 */
	public Map<String, TensorEntry> entries() {
		return Collections.unmodifiableMap(this.entries);
	}

	/**
	 * What the file says of one tensor.
	 * @param name the tensor's name
	 * @return its type and shape
	 * @throws InvalidInputException if the file has no such tensor
	 */
	public TensorEntry entry(String name) {
		return find(name).entry();
	}

	/**
	 * The remarks in the header of a safetensors file.
	 * @return an unmodifiable map, empty for a PyTorch file
	 */
	public Map<String, String> metadata() {
		return Collections.unmodifiableMap(this.metadata);
	}

	/**
	 * Reads a tensor of floating-point numbers (F32, F16, BF16, F64), rounded to
	 * {@code float}, without room for all of them.
	 * @param name the tensor's name
	 * @param target is given the elements in row-major order, piece after piece
	 * @throws InvalidInputException if the file has no such tensor, or one of integers
	 * @throws IllegalStateException if the file has been closed
	 */
	public void read(String name, Consumer<FloatBuffer> target) {
		if (this.changes.containsKey(name)) {
			target.accept(FloatBuffer.wrap(readFloats(name)));
		}
		else {
			floating(name).read(target);
		}
	}

	/**
	 * Reads a tensor of floating-point numbers (F32, F16, BF16, F64), rounded to
	 * {@code float}.
	 * @param name the tensor's name
	 * @return the elements in row-major order
	 * @throws InvalidInputException if the file has no such tensor, or one of integers,
	 * or of more elements than an array holds
	 * @throws IllegalStateException if the file has been closed
	 */
	public float[] readFloats(String name) {
		float[] values = floats(floating(name));
		Adapter.Change change = this.changes.get(name);
		if (change != null) {
			change.addTo(FloatBuffer.wrap(values));
		}
		return values;
	}

	static float[] floats(StoredTensor tensor) {
		float[] values = new float[arraySize(tensor)];
		tensor.read(FloatBuffer.wrap(values)::put);
		return values;
	}

	/**
	 * Reads a tensor of integers (all types but U64) or truth values (0 and 1).
	 * @param name the tensor's name
	 * @return the elements in row-major order
	 * @throws InvalidInputException if the file has no such tensor, or one of another
	 * type, or of more elements than an array holds
	 * @throws IllegalStateException if the file has been closed
	 */
	public long[] readLongs(String name) {
		StoredTensor tensor = find(name, ElementType::integer, "integers");
		arraySize(tensor);
		return tensor.readLongs();
	}

	/**
	 * Where the numbers of a tensor lie, for those who read the file without this
	 * library.
	 * @param name the tensor's name
	 * @return the place of its elements in row-major order; none if they are stored in
	 * another order, or an adapter changes them
	 * @throws InvalidInputException if the file has no such tensor
	 */
	public Optional<Place> place(String name) {
		StoredTensor tensor = find(name);
		return (tensor.strides() != null || this.changes.containsKey(name)) ? Optional.empty()
				: Optional.of(new Place(tensor.file().path(), tensor.offset(), tensor.entry().bytes()));
	}

	private StoredTensor find(String name) {
		StoredTensor tensor = this.tensors.get(name);
		if (tensor == null) {
			throw this.files.get(0)
				.invalid("has no tensor " + OpenFile.shown(name),
						"check that it holds the weights of the model that config.json describes");
		}
		return tensor;
	}

	private StoredTensor floating(String name) {
		return find(name, ElementType::floating, "floating-point numbers");
	}

	private StoredTensor find(String name, Predicate<ElementType> wanted, String description) {
		StoredTensor tensor = find(name);
		if (!wanted.test(tensor.entry().type())) {
			throw tensor.file()
				.invalid("the tensor " + OpenFile.shown(name) + " is of type " + tensor.entry().type() + ", not "
						+ description, "check that it is the right file");
		}
		return tensor;
	}

	private static int arraySize(StoredTensor tensor) {
		long elements = tensor.entry().elements();
		// a little less than an int counts: the largest array of a JVM
		if (elements > Integer.MAX_VALUE - 8) {
			throw tensor.file()
				.invalid("the tensor " + OpenFile.shown(tensor.entry().name()) + " has " + elements + " elements",
						"more than an array holds");
		}
		return (int) elements;
	}

	/**
	 * A part of a file.
	 *
	 * @param file the file
	 * @param offset where the part begins, in bytes
	 * @param bytes how long it is
	 */
	public record Place(Path file, long offset, long bytes) {
	}

	@Override
	public void close() {
		this.files.forEach(OpenFile::close);
	}

}

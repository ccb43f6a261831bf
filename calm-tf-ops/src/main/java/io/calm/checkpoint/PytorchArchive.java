package io.calm.checkpoint;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;

import io.calm.checkpoint.StateDictUnpickler.PickledStorage;
import io.calm.checkpoint.StateDictUnpickler.PickledTensor;

/**
 * A state dict as {@code torch.save} writes it since PyTorch 1.6: a zip file with a
 * pickle ({@code data.pkl}) that names the tensors, and one uncompressed member per
 * storage ({@code data/0} …), in which the tensors are views.
 */
final class PytorchArchive {

	private static final String PICKLE = "/data.pkl";

	private static final int LARGEST_PICKLE = 16 << 20;

	private static final String SAVE_AGAIN = "save model.state_dict() again with torch.save, or as safetensors";

	private final OpenFile file;

	private final ZipDirectory zip;

	/** Storages that were found to be as the pickle says, and where they begin. */
	private final Map<PickledStorage, Long> storages = new HashMap<>();

	private long storageBytes;

	private PytorchArchive(OpenFile file) {
		this.file = file;
		this.zip = ZipDirectory.read(file);
	}

	static List<StoredTensor> read(OpenFile file) {
		return new PytorchArchive(file).tensors();
	}

	private List<StoredTensor> tensors() {
		String folder = folder();
		if (this.zip.contains(folder + "/byteorder")) {
			String order = StandardCharsets.ISO_8859_1.decode(member(folder + "/byteorder", 16)).toString();
			if (!order.equals("little")) {
				throw this.file.invalid("has the byte order " + OpenFile.shown(order) + ", not 'little'",
						"save it again on a little-endian machine");
			}
		}
		ByteBuffer pickle = member(folder + PICKLE, LARGEST_PICKLE);
		List<StoredTensor> result = new ArrayList<>();
		new StateDictUnpickler(this.file, pickle).stateDict()
			.forEach((name, tensor) -> result.add(place(folder, name, tensor)));
		return result;
	}

	/**
	 * The folder in which everything lies; its name is that of the file as it was saved.
	 */
	private String folder() {
		List<String> pickles = this.zip.names()
			.stream()
			.filter((name) -> name.endsWith(PICKLE) && name.indexOf('/') == name.length() - PICKLE.length())
			.toList();
		if (pickles.size() != 1) {
			throw this.file.invalid("is a zip file but not of torch.save: it has no data.pkl",
					"check what was downloaded or copied");
		}
		return pickles.get(0).substring(0, pickles.get(0).length() - PICKLE.length());
	}

	private ByteBuffer member(String name, int limit) {
		long size = this.zip.size(name);
		if (size > limit) {
			throw this.file.invalid("has a " + OpenFile.shown(name) + " of " + size + " bytes", SAVE_AGAIN);
		}
		long offset = verified(name);
		return this.file.bytes(offset, (int) size);
	}

	private long verified(String name) {
		long offset = this.zip.offset(name);
		CRC32 checksum = new CRC32();
		this.file.digest(checksum, offset, this.zip.size(name));
		if (checksum.getValue() != this.zip.checksum(name)) {
			throw this.file.invalid("is damaged: the checksum of " + OpenFile.shown(name) + " does not match",
					"download or copy it again");
		}
		return offset;
	}

	private StoredTensor place(String folder, String name, PickledTensor tensor) {
		ElementType type = tensor.storage().type();
		List<Long> shape = tensor.shape();
		long bytes = TensorEntry.bytes(type, shape);
		// a view may repeat elements without end (stride 0): no weight file does
		if (bytes < 0 || bytes / type.bytes() > tensor.storage().elements() || tensor.strides().size() != shape.size()
				|| tensor.strides().stream().anyMatch((stride) -> stride < 0)) {
			throw outside(name, tensor);
		}
		TensorEntry entry = new TensorEntry(name, type, shape);
		long storage = this.storages.computeIfAbsent(tensor.storage(), (key) -> storage(folder, key));
		if (bytes == 0) {
			return new StoredTensor(entry, this.file, storage, null);
		}
		long end;
		try {
			end = Math.addExact(1, Math.addExact(tensor.offset(), StoredTensor.lastElement(shape, tensor.strides())));
		}
		catch (ArithmeticException ex) {
			throw outside(name, tensor);
		}
		if (tensor.offset() < 0 || end > tensor.storage().elements()) {
			throw outside(name, tensor);
		}
		long start = storage + tensor.offset() * type.bytes();
		if (StoredTensor.rowAfterRow(shape, tensor.strides())) {
			return new StoredTensor(entry, this.file, start, null);
		}
		if ((end - tensor.offset()) * type.bytes() > OpenFile.WINDOW) {
			throw this.file.invalid("the large tensor " + OpenFile.shown(name) + " does not lie row after row",
					"call contiguous() on it and " + SAVE_AGAIN);
		}
		return new StoredTensor(entry, this.file, start, tensor.strides());
	}

	private long storage(String folder, PickledStorage storage) {
		String name = folder + "/data/" + storage.key();
		long size = this.zip.size(name);
		if (storage.elements() < 0 || size % storage.type().bytes() != 0
				|| size / storage.type().bytes() != storage.elements()) {
			throw this.file.invalid(OpenFile.shown(name) + " has " + size + " bytes instead of " + storage.elements()
					+ " elements of " + storage.type(), "download or copy it again");
		}
		// members that lie upon each other could keep us summing for hours
		if (size > this.file.size() - this.storageBytes) {
			throw this.file.invalid("has members that overlap", SAVE_AGAIN);
		}
		this.storageBytes += size;
		return verified(name);
	}

	private RuntimeException outside(String name, PickledTensor tensor) {
		return this.file.invalid(
				"the tensor " + OpenFile.shown(name) + " of the shape " + OpenFile.shown(tensor.shape().toString())
						+ " does not lie within its storage of " + tensor.storage().elements() + " elements",
				SAVE_AGAIN);
	}

}

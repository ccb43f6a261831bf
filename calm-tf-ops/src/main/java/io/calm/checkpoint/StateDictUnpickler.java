package io.calm.checkpoint;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * Reads the pickle of a state dict. A pickle is a program; this machine knows only the
 * instructions that a state dict consists of, calls nothing, and of the classes that a
 * pickle may ask for accepts those of tensors alone, as mere names.
 * <p>
 * No bound is needed for each of stack, memo and containers: an instruction adds at most
 * one object, so the bound on instructions holds for all of them.
 *
 * @see <a href="https://github.com/python/cpython/blob/main/Lib/pickletools.py">The
 * instructions</a>
 */
final class StateDictUnpickler {

	/** Some 25 per tensor are usual. */
	private static final int MOST_INSTRUCTIONS = 1_000_000;

	private static final int LONGEST_STRING = 64 << 10;

	private static final String SAVE_STATE_DICT = "save model.state_dict() alone, as safetensors if possible";

	private static final String REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2";

	private static final String REBUILD_PARAMETER = "torch._utils._rebuild_parameter";

	private static final String ORDERED_DICT = "collections.OrderedDict";

	private static final Map<String, ElementType> STORAGES = Map.of("torch.FloatStorage", ElementType.F32,
			"torch.HalfStorage", ElementType.F16, "torch.BFloat16Storage", ElementType.BF16, "torch.DoubleStorage",
			ElementType.F64, "torch.LongStorage", ElementType.I64, "torch.IntStorage", ElementType.I32,
			"torch.BoolStorage", ElementType.BOOL, "torch.ByteStorage", ElementType.U8);

	private static final Object NONE = new Object();

	private static final Object MARK = new Object();

	private final OpenFile file;

	private final ByteBuffer pickle;

	private final List<Object> stack = new ArrayList<>();

	private final Map<Integer, Object> memo = new HashMap<>();

	StateDictUnpickler(OpenFile file, ByteBuffer pickle) {
		this.file = file;
		this.pickle = pickle.duplicate().order(ByteOrder.LITTLE_ENDIAN);
	}

	/** Part of a file of which tensors are views. */
	record PickledStorage(ElementType type, String key, long elements) {

	}

	/** A view of a storage; nothing in it has been checked. */
	record PickledTensor(PickledStorage storage, long offset, List<Long> shape, List<Long> strides) {

	}

	/** The name of something in Python, from the list of those allowed. */
	private record Global(String name) {

	}

	Map<String, PickledTensor> stateDict() {
		Map<String, PickledTensor> tensors = new LinkedHashMap<>();
		Map<?, ?> pickled = cast(Map.class, run());
		pickled.forEach((name, value) -> {
			if (!(name instanceof String key) || !(value instanceof PickledTensor tensor)) {
				throw this.file.invalid("holds " + OpenFile.shown(String.valueOf(name)) + ", which is no tensor",
						SAVE_STATE_DICT);
			}
			tensors.put(key, tensor);
		});
		return tensors;
	}

	private Object run() {
		try {
			for (int instructions = 0; instructions < MOST_INSTRUCTIONS; instructions++) {
				int code = Byte.toUnsignedInt(this.pickle.get());
				if (code == '.') {
					return pop();
				}
				execute(code);
			}
		}
		catch (BufferUnderflowException ex) {
			throw damaged("ends too early");
		}
		throw this.file.invalid("has a pickle of more than " + MOST_INSTRUCTIONS + " instructions", SAVE_STATE_DICT);
	}

	private void execute(int code) {
		switch (code) {
			case 0x80 -> protocol();
			case 0x95 -> this.pickle.getLong(); // FRAME: a length of no use here
			case '(' -> this.stack.add(MARK);
			case 'N' -> this.stack.add(NONE);
			case 0x88 -> this.stack.add(true);
			case 0x89 -> this.stack.add(false);
			case 'K' -> this.stack.add(Byte.toUnsignedLong(this.pickle.get()));
			case 'M' -> this.stack.add(Short.toUnsignedLong(this.pickle.getShort()));
			case 'J' -> this.stack.add((long) this.pickle.getInt());
			case 0x8a -> this.stack.add(longInteger());
			case 'X' -> this.stack.add(string(this.pickle.getInt()));
			case 0x8c -> this.stack.add(string(Byte.toUnsignedInt(this.pickle.get())));
			case 'q' -> this.memo.put(Byte.toUnsignedInt(this.pickle.get()), top());
			case 'r' -> this.memo.put(this.pickle.getInt(), top());
			case 0x94 -> this.memo.put(this.memo.size(), top());
			case 'h' -> this.stack.add(remembered(Byte.toUnsignedInt(this.pickle.get())));
			case 'j' -> this.stack.add(remembered(this.pickle.getInt()));
			case 'c' -> this.stack.add(global(line(), line()));
			case 0x93 -> stackGlobal();
			case '}' -> this.stack.add(new LinkedHashMap<>());
			case ']' -> this.stack.add(new ArrayList<>());
			case ')' -> this.stack.add(List.of());
			case 't' -> this.stack.add(popToMark());
			case 0x85 -> this.stack.add(popLast(1));
			case 0x86 -> this.stack.add(popLast(2));
			case 0x87 -> this.stack.add(popLast(3));
			case 'a' -> append(popLast(1));
			case 'e' -> append(popToMark());
			case 's' -> setItems(popLast(2));
			case 'u' -> setItems(popToMark());
			case 'Q' -> this.stack.add(storage(cast(List.class, pop())));
			case 'R' -> reduce();
			case 'b' -> build();
			default -> throw damaged(String.format("has the instruction 0x%02x, which no state dict needs", code));
		}
	}

	private void protocol() {
		int version = this.pickle.get();
		if (version < 2 || version > 5) {
			throw damaged("is of protocol " + version);
		}
	}

	private long longInteger() {
		int length = Byte.toUnsignedInt(this.pickle.get());
		if (length > Long.BYTES) {
			throw damaged("has a number of " + length + " bytes");
		}
		long value = 0;
		for (int i = 0; i < length; i++) {
			value |= Byte.toUnsignedLong(this.pickle.get()) << (8 * i);
		}
		int unused = Long.SIZE - 8 * length;
		// the sign is in the last byte; shifting by 64 would shift by 0
		return (length == 0) ? 0 : value << unused >> unused;
	}

	private String string(int length) {
		if (length < 0 || length > LONGEST_STRING || length > this.pickle.remaining()) {
			throw damaged("has a string of " + Integer.toUnsignedString(length) + " bytes");
		}
		ByteBuffer bytes = this.pickle.slice(this.pickle.position(), length);
		this.pickle.position(this.pickle.position() + length);
		try {
			return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
		}
		catch (CharacterCodingException ex) {
			throw damaged("has a string that is no UTF-8");
		}
	}

	private String line() {
		int start = this.pickle.position();
		while (this.pickle.get() != '\n') {
			if (this.pickle.position() - start > LONGEST_STRING) {
				throw damaged("has a string without end");
			}
		}
		return StandardCharsets.UTF_8.decode(this.pickle.slice(start, this.pickle.position() - 1 - start)).toString();
	}

	private void stackGlobal() {
		List<Object> names = popLast(2);
		this.stack.add(global(cast(String.class, names.get(0)), cast(String.class, names.get(1))));
	}

	private Global global(String module, String name) {
		String full = module + "." + name;
		if (STORAGES.containsKey(full) || List.of(REBUILD_TENSOR, REBUILD_PARAMETER, ORDERED_DICT).contains(full)) {
			return new Global(full);
		}
		throw this.file.invalid(
				"asks for " + OpenFile.shown(full) + ", which a weight file has no use for; nothing was executed",
				"do not use this file unless you trust its source; if you do, " + SAVE_STATE_DICT);
	}

	private PickledStorage storage(List<?> id) {
		if (id.size() != 5 || !"storage".equals(id.get(0))) {
			throw damaged("refers to something that is no storage");
		}
		ElementType type = STORAGES.get(cast(Global.class, id.get(1)).name());
		if (type == null) {
			throw damaged("has a storage without a type");
		}
		// id.get(3) is the device it was on, which is of no matter
		return new PickledStorage(type, cast(String.class, id.get(2)), cast(Long.class, id.get(4)));
	}

	private void reduce() {
		List<Object> call = popLast(2);
		List<?> arguments = cast(List.class, call.get(1));
		String name = cast(Global.class, call.get(0)).name();
		if (name.equals(ORDERED_DICT) && arguments.isEmpty()) {
			this.stack.add(new LinkedHashMap<>());
		}
		else if (name.equals(REBUILD_TENSOR) && (arguments.size() == 6 || arguments.size() == 7)) {
			this.stack.add(new PickledTensor(cast(PickledStorage.class, arguments.get(0)),
					cast(Long.class, arguments.get(1)), numbers(arguments.get(2)), numbers(arguments.get(3))));
		}
		else if (name.equals(REBUILD_PARAMETER) && arguments.size() == 3) {
			this.stack.add(cast(PickledTensor.class, arguments.get(0)));
		}
		else {
			throw damaged("calls " + name + " in an unknown way");
		}
	}

	private List<Long> numbers(@Nullable Object value) {
		List<?> values = cast(List.class, value);
		// one instruction can name a long list again: only here is something copied
		if (values.size() > TensorEntry.MOST_DIMENSIONS) {
			throw damaged("has a tensor of " + values.size() + " dimensions");
		}
		List<Long> numbers = new ArrayList<>();
		for (Object number : values) {
			numbers.add(cast(Long.class, number));
		}
		return List.copyOf(numbers);
	}

	/** State dicts carry the versions of their modules as an attribute: not needed. */
	private void build() {
		pop();
		cast(Map.class, top());
	}

	@SuppressWarnings("unchecked")
	private void append(List<Object> values) {
		Object list = top();
		// tuples are lists that cannot be changed
		if (!(list instanceof ArrayList<?>)) {
			throw damaged("appends to something that is no list");
		}
		((List<Object>) list).addAll(values);
	}

	@SuppressWarnings("unchecked")
	private void setItems(List<Object> items) {
		Map<Object, Object> map = cast(Map.class, top());
		if (items.size() % 2 != 0) {
			throw damaged("has a key without a value");
		}
		for (int i = 0; i < items.size(); i += 2) {
			Object key = items.get(i);
			// containers as keys could be hashed for hours, or contain themselves
			if (!(key instanceof String || key instanceof Long) || map.put(key, items.get(i + 1)) != null) {
				throw damaged("has a key twice, or one that is no name");
			}
		}
	}

	private Object remembered(int index) {
		Object value = this.memo.get(index);
		if (value == null) {
			throw damaged("refers to the unknown object " + index);
		}
		return value;
	}

	private Object top() {
		if (this.stack.isEmpty() || this.stack.get(this.stack.size() - 1) == MARK) {
			throw damaged("lacks an object");
		}
		return this.stack.get(this.stack.size() - 1);
	}

	private Object pop() {
		Object top = top();
		this.stack.remove(this.stack.size() - 1);
		return top;
	}

	private List<Object> popLast(int count) {
		return popFrom(this.stack.size() - count);
	}

	private List<Object> popToMark() {
		int mark = this.stack.lastIndexOf(MARK);
		if (mark < 0) {
			throw damaged("lacks a mark");
		}
		List<Object> objects = popFrom(mark + 1);
		this.stack.remove(mark);
		return objects;
	}

	private List<Object> popFrom(int index) {
		if (index < 0) {
			throw damaged("lacks an object");
		}
		List<Object> above = this.stack.subList(index, this.stack.size());
		if (above.stream().anyMatch((object) -> object == MARK)) {
			throw damaged("has a mark where an object should be");
		}
		List<Object> objects = List.copyOf(above);
		above.clear();
		return objects;
	}

	private <T> T cast(Class<T> type, @Nullable Object object) {
		if (!type.isInstance(object)) {
			throw damaged("has something else where a " + type.getSimpleName() + " should be");
		}
		return type.cast(object);
	}

	private InvalidInputException damaged(String problem) {
		return this.file.invalid("its pickle " + problem,
				"download or copy it again; a file that loads in PyTorch: " + SAVE_STATE_DICT);
	}

}

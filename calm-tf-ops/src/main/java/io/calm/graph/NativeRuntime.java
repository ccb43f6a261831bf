package io.calm.graph;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

import com.sun.jna.Function;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Platform;
import com.sun.jna.Pointer;
import io.calm.input.InvalidInputException;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.jspecify.annotations.Nullable;
import org.tensorflow.TensorFlow;
import org.tensorflow.internal.c_api.TFE_Context;
import org.tensorflow.internal.c_api.TFE_ContextOptions;
import org.tensorflow.internal.c_api.TF_DeviceList;
import org.tensorflow.internal.c_api.TF_Status;
import org.tensorflow.internal.c_api.global.tensorflow;
import org.tensorflow.types.TFloat32;

/**
 * Loads TensorFlow's native library once, with the settings that an embedded library owes
 * its user.
 */
final class NativeRuntime {

	private static final String XLA_FLAGS = "TF_XLA_FLAGS";

	private static final @Nullable LinkageError MISSING;

	private static final boolean GPU;

	static {
		// JavaCPP refuses to allocate once the process is larger than 4 x Xmx, but model
		// weights live outside the heap by design: that limit would hit at random.
		setUnlessPresent("org.bytedeco.javacpp.maxphysicalbytes", "0");
		setUnlessPresent("org.bytedeco.javacpp.maxbytes", "0");
		MISSING = tryToLoad();
		GPU = MISSING == null && findGpu();
		if (MISSING == null && Platform.isLinux()) {
			endWithoutDestructors();
			computeForTheFirstTime();
			forgetKernels();
		}
	}

	private NativeRuntime() {
	}

	/**
	 * Loads the natives if that has not happened yet; to be called before any TensorFlow
	 * class is touched.
	 * @throws InvalidInputException if there are none for this platform, or they cannot
	 * be loaded
	 */
	static void load() {
		// the static initialiser did it, but what it throws would not be this exception
		if (MISSING == null) {
			return;
		}
		if (!isOnClassPath()) {
			throw new InvalidInputException("TensorFlow",
					"its native library for this platform (" + System.getProperty("os.name") + ", "
							+ System.getProperty("os.arch") + ") is not on the class path",
					"add org.tensorflow:tensorflow-core-native with the classifier for it, such as linux-x86_64",
					MISSING);
		}
		throw new InvalidInputException("TensorFlow",
				"its native library cannot be loaded: " + reason(MISSING) + " (it is unpacked to " + cache() + " and "
						+ System.getProperty("java.io.tmpdir") + ")",
				"install what is missing, or name directories that can be written to and executed from with"
						+ " -Dorg.bytedeco.javacpp.cachedir and -Djava.io.tmpdir",
				MISSING);
	}

	private static boolean isOnClassPath() {
		String library = "/" + System.mapLibraryName("jnitensorflow");
		String directory = "/org/tensorflow/internal/c_api/" + Loader.getPlatform();
		return Stream.of(directory, directory + "-gpu")
			.anyMatch((each) -> NativeRuntime.class.getResource(each + library) != null);
	}

	/** What lies under the errors of class initialisers. */
	private static Throwable reason(Throwable failure) {
		Throwable reason = failure;
		while (reason.getCause() != null) {
			reason = reason.getCause();
		}
		return reason;
	}

	private static String cache() {
		return System.getProperty("org.bytedeco.javacpp.cachedir",
				Path.of(System.getProperty("user.home"), ".javacpp", "cache").toString());
	}

	private static @Nullable LinkageError tryToLoad() {
		try {
			// a library does not print: TensorFlow's information lines go. Among workers
			// its errors go too, which bury the line about a lost one
			setEnvironmentUnlessPresent("TF_CPP_MIN_LOG_LEVEL", (System.getenv("TF_CONFIG") != null) ? "3" : "2");
			// by default TensorFlow uses oneDNN on CPUs with AVX-512 only; with AVX2 the
			// product of a vocabulary is 2.5 times as fast
			setEnvironmentUnlessPresent("TF_ENABLE_ONEDNN_OPTS", "1");
			boolean kept = keepKernels();
			TensorFlow.version();
			if (kept) {
				withholdWarnings();
			}
			return null;
		}
		catch (LinkageError ex) {
			return ex;
		}
	}

	/**
	 * Lets TensorFlow find the kernels that an earlier process has compiled for the same
	 * machine. Where its flags are set already, they are the user's.
	 */
	private static boolean keepKernels() {
		String given = System.getenv("CALM_KERNEL_CACHE");
		if (!Platform.isLinux() || "off".equals(given) || System.getenv(XLA_FLAGS) != null) {
			return false;
		}
		Path all = (given != null && !given.isBlank()) ? Path.of(given).toAbsolutePath() : userCache();
		if (all.toString().matches(".*[\\s'\"].*")) {
			// TensorFlow's flags are separated by spaces
			return false;
		}
		Optional<KernelCache> cache = KernelCache.open(all.resolve(machine()));
		cache.ifPresent((kernels) -> {
			setEnvironmentUnlessPresent(XLA_FLAGS, "--tf_xla_persistent_cache_directory=" + kernels.directory()
					+ " --tf_xla_persistent_cache_device_types=CPU");
			Runtime.getRuntime().addShutdownHook(new Thread(kernels::close));
		});
		return cache.isPresent();
	}

	/**
	 * TensorFlow has read its flags when it has computed. A process that this one starts
	 * must not find them, or it would use a directory that goes with this one.
	 */
	private static void forgetKernels() {
		if (System.getenv(XLA_FLAGS) == null) {
			Function.getFunction("c", "unsetenv").invokeInt(new Object[] { XLA_FLAGS });
		}
	}

	private static Path userCache() {
		String given = System.getenv("XDG_CACHE_HOME");
		Path caches = (given != null && !given.isBlank()) ? Path.of(given)
				: Path.of(System.getProperty("user.home"), ".cache");
		return caches.toAbsolutePath().resolve("calm").resolve("kernels");
	}

	/**
	 * What a kernel's machine code depends on: TensorFlow's library, its flags, and the
	 * instructions of the processor.
	 */
	private static String machine() {
		CRC32C machine = new CRC32C();
		Stream.of(library(), String.valueOf(System.getenv("XLA_FLAGS")), processor())
			.forEach((part) -> machine.update(part.getBytes(StandardCharsets.UTF_8)));
		return Loader.getPlatform() + "-" + Long.toHexString(machine.getValue());
	}

	/** TensorFlow's library, which is not loaded yet, by its sizes. */
	private static String library() {
		return Stream.of("", "-gpu")
			.flatMap((extension) -> Stream.of("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
				.map((name) -> TensorFlow.class
					.getResource("/org/tensorflow/internal/c_api/" + Loader.getPlatform() + extension + "/" + name)))
			.filter(Objects::nonNull)
			.map((url) -> {
				try {
					return Long.toString(url.openConnection().getContentLengthLong());
				}
				catch (IOException ex) {
					return url.toString();
				}
			})
			.collect(Collectors.joining(" "));
	}

	private static String processor() {
		try (Stream<String> lines = Files.lines(Path.of("/proc/cpuinfo"))) {
			return lines.filter((line) -> line.matches("(model name|flags|Features|CPU part)\\s*:.*"))
				.distinct()
				.collect(Collectors.joining("\n"));
		}
		catch (IOException | UncheckedIOException ex) {
			return "";
		}
	}

	/**
	 * TensorFlow tries to read a kernel as text before it reads it as what it is, and
	 * Protocol Buffers would print an error for each.
	 */
	private static void withholdWarnings() {
		NativeLibrary.getInstance("libtensorflow_framework.so.2")
			.getFunction("_ZN6google8protobuf13SetLogHandlerEPFvNS0_8LogLevelEPKci"
					+ "RKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEE")
			.invokePointer(new Object[] { null });
	}

	static boolean hasGpu() {
		return GPU;
	}

	/**
	 * Whether the CPU has instructions for bfloat16 (AVX-512 BF16 or AMX on x86, BF16 on
	 * ARM). Only Linux tells.
	 */
	static Optional<Boolean> bfloat16() {
		Path processors = Path.of("/proc/cpuinfo");
		try {
			return Files.isReadable(processors) ? Optional.of(Files.readString(processors).contains("bf16"))
					: Optional.empty();
		}
		catch (IOException ex) {
			return Optional.empty();
		}
	}

	private static void setUnlessPresent(String property, String value) {
		if (System.getProperty(property) == null) {
			System.setProperty(property, value);
		}
	}

	/**
	 * TensorFlow reads these from the environment of the process, which Java cannot
	 * write.
	 */
	private static void setEnvironmentUnlessPresent(String name, String value) {
		if (System.getenv(name) != null) {
			return;
		}
		if (Platform.isWindows()) {
			Function.getFunction("msvcrt", "_putenv").invokeInt(new Object[] { name + "=" + value });
		}
		else {
			Function.getFunction("c", "setenv").invokeInt(new Object[] { name, value, 1 });
		}
	}

	/**
	 * When the JVM ends while a thread computes, such as a training at Ctrl-C, the
	 * destructors of TensorFlow's static objects free code that is running, and the
	 * process crashes on its way out. So the process ends before them, with its own
	 * status. Destructors run from the last to the first, and many static objects are
	 * made on the way: only what is registered at the end runs before all of them.
	 */
	private static void endWithoutDestructors() {
		Function onExit = Function.getFunction("c", "on_exit");
		Pointer exit = NativeLibrary.getInstance("c").getGlobalVariableAddress("_exit");
		Runtime.getRuntime().addShutdownHook(new Thread(() -> onExit.invokeInt(new Object[] { exit, null })));
	}

	/**
	 * What TensorFlow says of itself when it computes and compiles for the first time
	 * does not follow {@code TF_CPP_MIN_LOG_LEVEL}. It is said here, and shown only to
	 * who asks for everything.
	 */
	private static void computeForTheFirstTime() {
		try (ProgramBuilder builder = new ProgramBuilder(
				ProgramOptions.DEFAULT.withDevice(Device.CPU).withFusion(true))) {
			Input<TFloat32, float[]> x = builder.floats(1);
			Fetch<float[]> y = Fetch.floats(builder.network().tf().math.tanh(x.value()));
			EntryPoint first = builder.entryPoint().fetching(y);
			try (Program program = builder.build(); Call call = program.call(first).feed(x, new float[1])) {
				if ("0".equals(System.getenv("TF_CPP_MIN_LOG_LEVEL"))) {
					call.run();
				}
				else {
					StandardError.withhold(NativeRuntime::isInformation, call::run);
				}
			}
		}
	}

	static boolean isInformation(String line) {
		return line.startsWith("WARNING: All log messages before absl::InitializeLog()")
				|| line.matches("[IW]\\d{4} [\\d:.]+ .*");
	}

	private static boolean findGpu() {
		try (TF_Status status = TF_Status.newStatus();
				TFE_ContextOptions options = TFE_ContextOptions.newContextOptions()) {
			TFE_Context context = tensorflow.TFE_NewContext(options, status);
			status.throwExceptionIfNotOK();
			TF_DeviceList devices = tensorflow.TFE_ContextListDevices(context, status);
			try {
				for (int i = 0; i < tensorflow.TF_DeviceListCount(devices); i++) {
					BytePointer type = tensorflow.TF_DeviceListType(devices, i, status);
					if ("GPU".equals(type.getString())) {
						return true;
					}
				}
				return false;
			}
			finally {
				tensorflow.TF_DeleteDeviceList(devices);
				tensorflow.TFE_DeleteContext(context);
			}
		}
	}

}

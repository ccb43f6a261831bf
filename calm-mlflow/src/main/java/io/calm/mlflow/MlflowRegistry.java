package io.calm.mlflow;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import io.calm.checkpoint.ModelDirectory;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;
import org.mlflow.api.proto.ModelRegistry;
import org.mlflow.api.proto.ModelRegistry.CreateModelVersion;
import org.mlflow.api.proto.ModelRegistry.CreateRegisteredModel;
import org.mlflow.api.proto.ModelRegistry.GetModelVersion;
import org.mlflow.api.proto.ModelRegistry.GetModelVersionByAlias;
import org.mlflow.api.proto.ModelRegistry.ModelVersionTag;
import org.mlflow.api.proto.ModelRegistry.SetRegisteredModelAlias;
import org.mlflow.api.proto.Service.CreateRun;
import org.mlflow.api.proto.Service.FileInfo;
import org.mlflow.api.proto.Service.GetRun;
import org.mlflow.api.proto.Service.LogBatch;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.RunInfo;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.api.proto.Service.RunTag;
import org.mlflow.api.proto.Service.UpdateRun;
import org.mlflow.tracking.utils.MlflowTagConstants;

/**
 * Registered models of an MLflow server. Beside the files of a model lies
 * {@code checksums.sha256}, in the format of the command {@code sha256sum}; a directory
 * appears in the cache only when every file of it has the right sum.
 */
public final class MlflowRegistry {

	private static final String CHECKSUMS = "checksums.sha256";

	/** The tag of a version with the sum of the file of sums. */
	private static final String DIGEST_TAG = "calm.sha256";

	private static final String MODEL = "model";

	/** Only for a training to go on. */
	private static final Set<String> NOT_OF_THE_MODEL = Set.of("optimizer.safetensors", "trainer_state.json",
			"evaluated.json", "best.json", CHECKSUMS);

	private static final int MOST_CHECKSUMS = 1 << 20;

	private static final Pattern ADDRESS = Pattern
		.compile("models:/([^/@]+)(?:@(?<alias>[^/@]+)|/(?<version>\\d+))|runs:/(?<run>[^/]+)/(?<path>.+)");

	private static final Pattern SUM = Pattern.compile("([0-9a-f]{64}) [ *](.+)");

	private final MlflowApi api;

	private final Path cache;

	private MlflowRegistry(MlflowApi api, Path cache) {
		this.api = api;
		this.cache = cache;
	}

	/**
	 * A version of a registered model.
	 *
	 * @param name of the model
	 * @param version counted from 1
	 * @param runId of the run that has its files
	 * @param aliases that name it
	 * @param tags of it
	 */
	public record Version(String name, int version, String runId, Set<String> aliases, Map<String, String> tags) {

		/**
		 * Its address.
		 * @return such as {@code models:/name/3}
		 */
		public String uri() {
			return "models:/" + this.name + "/" + this.version;
		}

	}

	/**
	 * The registry of a server; models are kept in {@code calm/models} in the user's
	 * cache directory.
	 * @param connection to the server
	 * @return the registry; nothing is called yet
	 */
	public static MlflowRegistry of(MlflowConnection connection) {
		String given = System.getenv("XDG_CACHE_HOME");
		Path caches = (given != null && !given.isBlank()) ? Path.of(given)
				: Path.of(System.getProperty("user.home"), ".cache");
		return of(connection, caches.resolve("calm").resolve("models"));
	}

	/**
	 * The registry of a server.
	 * @param connection to the server
	 * @param cache where models are kept
	 * @return the registry; nothing is called yet
	 */
	public static MlflowRegistry of(MlflowConnection connection, Path cache) {
		return new MlflowRegistry(new MlflowApi(connection), cache);
	}

	/**
	 * Registers a finished model as a new version.
	 * @param name of the registered model; made if it is not there
	 * @param model its directory
	 * @param options set metrics, aliases and the run it belongs to
	 * @return the version
	 * @throws InvalidInputException if the directory holds no model, or the server does
	 * not take it
	 */
	public Version register(String name, Path model, Consumer<Registration> options) {
		if (!name.matches("[^/:@]+")) {
			throw new InvalidInputException("model name " + name, "holds a slash, a colon or an at sign, or is empty",
					"choose another name");
		}
		ModelDirectory.open(model);
		Registration registration = new Registration();
		options.accept(registration);
		return reporting(model, () -> {
			RunInfo run = run(name, registration);
			String sums = upload(model, run.getArtifactUri());
			log(run.getRunId(), registration.metrics);
			createModel(name);
			CreateModelVersion.Builder create = CreateModelVersion.newBuilder()
				.setName(name)
				.setSource(run.getArtifactUri() + "/" + MODEL)
				.setRunId(run.getRunId())
				.addTags(ModelVersionTag.newBuilder().setKey(DIGEST_TAG).setValue(sums));
			registration.metrics.forEach((metric, value) -> create
				.addTags(ModelVersionTag.newBuilder().setKey("metric." + metric).setValue(String.valueOf(value))));
			String version = this.api.post("model-versions/create", create, CreateModelVersion.Response.newBuilder())
				.getModelVersion()
				.getVersion();
			if (registration.runId == null) {
				this.api.post("runs/update",
						UpdateRun.newBuilder()
							.setRunId(run.getRunId())
							.setStatus(RunStatus.FINISHED)
							.setEndTime(System.currentTimeMillis()),
						UpdateRun.Response.newBuilder());
			}
			registration.aliases.forEach((alias) -> putAlias(name, alias, version));
			return version(name, version);
		});
	}

	/**
	 * Lets an alias name a version; another version loses it.
	 * @param name of the registered model
	 * @param alias such as {@code champion}
	 * @param version to name
	 */
	public void setAlias(String name, String alias, int version) {
		reporting(name, () -> {
			putAlias(name, alias, String.valueOf(version));
			return version;
		});
	}

	private void putAlias(String name, String alias, String version) {
		this.api.post("registered-models/alias",
				SetRegisteredModelAlias.newBuilder().setName(name).setAlias(alias).setVersion(version),
				SetRegisteredModelAlias.Response.newBuilder());
	}

	/**
	 * Looks up a version.
	 * @param uri {@code models:/name@alias} or {@code models:/name/3}
	 * @return the version
	 * @throws InvalidInputException if there is none
	 */
	public Version find(String uri) {
		Matcher parts = parse(uri);
		String name = parts.group(1);
		if (name == null) {
			throw invalid(uri);
		}
		return reporting(name, () -> find(parts, name));
	}

	private Version find(Matcher parts, String name) {
		String alias = parts.group("alias");
		if (alias == null) {
			return version(name, parts.group("version"));
		}
		return version(this.api
			.get("registered-models/alias", Map.of("name", name, "alias", alias),
					GetModelVersionByAlias.Response.newBuilder())
			.getModelVersion());
	}

	private Version version(String name, String version) {
		return version(this.api
			.get("model-versions/get", Map.of("name", name, "version", version), GetModelVersion.Response.newBuilder())
			.getModelVersion());
	}

	private static Version version(ModelRegistry.ModelVersion found) {
		return new Version(found.getName(), Integer.parseInt(found.getVersion()), found.getRunId(),
				Set.copyOf(found.getAliasesList()),
				found.getTagsList()
					.stream()
					.collect(Collectors.toUnmodifiableMap(ModelVersionTag::getKey, ModelVersionTag::getValue)));
	}

	/**
	 * Fetches a model into the cache, unless it is there.
	 * @param uri {@code models:/name@alias}, {@code models:/name/3} or
	 * {@code runs:/id/path}
	 * @return its directory; do not write into it
	 * @throws InvalidInputException if there is no such model, it cannot be fetched, or
	 * it is not what was registered
	 */
	public Path load(String uri) {
		Matcher parts = parse(uri);
		return reporting(this.cache, () -> {
			String name = parts.group(1);
			if (name == null) {
				return load(uri, parts.group("run"), parts.group("path"), null);
			}
			Version version = find(parts, name);
			return load(uri, version.runId(), MODEL, version.tags().get(DIGEST_TAG));
		});
	}

	private Path load(String uri, String runId, String path, @Nullable String digest) throws IOException {
		RunInfo run = this.api.get("runs/get", Map.of("run_id", runId), GetRun.Response.newBuilder())
			.getRun()
			.getInfo();
		Files.createDirectories(this.cache);
		Path incomplete = Files.createDirectory(this.cache.resolve(".incomplete-" + UUID.randomUUID()));
		try {
			Path list = incomplete.resolve(CHECKSUMS);
			fetchChecksums(uri, run, path, list);
			String found = sha256(list);
			if (digest != null && !digest.equals(found)) {
				throw damaged(uri, CHECKSUMS);
			}
			Path complete = this.cache.resolve(found);
			if (Files.isDirectory(complete)) {
				return complete;
			}
			Map<String, Long> sizes = sizes(runId, path);
			for (Map.Entry<String, String> sum : sums(uri, list).entrySet()) {
				Path file = incomplete.resolve(sum.getKey());
				Files.createDirectories(file.getParent());
				this.api.download(run.getArtifactUri(), path + "/" + sum.getKey(),
						sizes.getOrDefault(path + "/" + sum.getKey(), 0L), file);
				if (!sha256(file).equals(sum.getValue())) {
					throw damaged(uri, sum.getKey());
				}
			}
			return moved(incomplete, complete);
		}
		finally {
			SpoolFile.deleteAll(incomplete);
		}
	}

	private void fetchChecksums(String uri, RunInfo run, String path, Path list) {
		try {
			this.api.download(run.getArtifactUri(), path + "/" + CHECKSUMS, 0, list);
		}
		catch (MlflowException ex) {
			if (ex.status() == MlflowException.NOT_FOUND) {
				throw new InvalidInputException(uri, "has no " + CHECKSUMS,
						"register the model with this library, or put the output of sha256sum beside its files");
			}
			throw ex;
		}
	}

	/** Another process may have fetched the same. */
	private static Path moved(Path incomplete, Path complete) throws IOException {
		try {
			return Files.move(incomplete, complete, StandardCopyOption.ATOMIC_MOVE);
		}
		catch (IOException ex) {
			if (Files.isDirectory(complete)) {
				return complete;
			}
			throw ex;
		}
	}

	private static InvalidInputException damaged(String uri, String file) {
		return new InvalidInputException(uri, file + " is not what was registered",
				"try again; if it stays so, somebody has changed the server's files: register the model again");
	}

	private static Map<String, String> sums(String uri, Path list) throws IOException {
		if (Files.size(list) > MOST_CHECKSUMS) {
			throw damaged(uri, CHECKSUMS);
		}
		Map<String, String> sums = new TreeMap<>();
		for (String line : Files.readAllLines(list)) {
			Matcher sum = SUM.matcher(line);
			// nothing that leads out of the directory
			if (!sum.matches() || !sum.group(2).matches("[\\w.-][\\w. -]*(/[\\w.-][\\w. -]*)*")
					|| List.of(sum.group(2).split("/")).contains("..")) {
				throw damaged(uri, CHECKSUMS);
			}
			sums.put(sum.group(2), sum.group(1));
		}
		return sums;
	}

	private Map<String, Long> sizes(String runId, String path) {
		Map<String, Long> sizes = new TreeMap<>();
		for (FileInfo file : this.api.artifacts(runId, path)) {
			if (file.getIsDir()) {
				sizes.putAll(sizes(runId, file.getPath()));
			}
			else {
				sizes.put(file.getPath(), file.getFileSize());
			}
		}
		return sizes;
	}

	private RunInfo run(String name, Registration registration) {
		if (registration.runId != null) {
			return this.api.get("runs/get", Map.of("run_id", registration.runId), GetRun.Response.newBuilder())
				.getRun()
				.getInfo();
		}
		CreateRun.Builder create = CreateRun.newBuilder()
			.setExperimentId(this.api.experiment(null, registration.experiment))
			.setRunName("register " + name)
			.setStartTime(System.currentTimeMillis());
		Origin.tags().forEach((key, value) -> create.addTags(RunTag.newBuilder().setKey(key).setValue(value)));
		create.setUserId(Origin.tags().getOrDefault(MlflowTagConstants.USER, ""));
		return this.api.post("runs/create", create, CreateRun.Response.newBuilder()).getRun().getInfo();
	}

	/** Files first, then their sums; the sum of those. */
	private String upload(Path model, String artifacts) throws IOException {
		List<Path> files;
		try (Stream<Path> walk = Files.walk(model)) {
			files = walk.filter(Files::isRegularFile)
				.filter((file) -> !NOT_OF_THE_MODEL.contains(file.getFileName().toString()))
				.sorted()
				.toList();
		}
		List<String> sums = new ArrayList<>();
		for (Path file : files) {
			String name = model.relativize(file).toString().replace('\\', '/');
			this.api.upload(artifacts, MODEL + "/" + name, file);
			sums.add(sha256(file) + "  " + name);
		}
		Path list = Files.createTempFile("calm", CHECKSUMS);
		try {
			Files.write(list, (String.join("\n", sums) + "\n").getBytes(StandardCharsets.UTF_8));
			this.api.upload(artifacts, MODEL + "/" + CHECKSUMS, list);
			return sha256(list);
		}
		finally {
			Files.delete(list);
		}
	}

	private void log(String runId, Map<String, Double> metrics) {
		if (metrics.isEmpty()) {
			return;
		}
		LogBatch.Builder batch = LogBatch.newBuilder().setRunId(runId);
		metrics.forEach((name,
				value) -> batch.addMetrics(Metric.newBuilder()
					.setKey(Delivery.key(name))
					.setValue(value)
					.setStep(0)
					.setTimestamp(System.currentTimeMillis())));
		this.api.post("runs/log-batch", batch, LogBatch.Response.newBuilder());
	}

	private void createModel(String name) {
		try {
			this.api.post("registered-models/create", CreateRegisteredModel.newBuilder().setName(name),
					CreateRegisteredModel.Response.newBuilder());
		}
		catch (MlflowException ex) {
			if (!ex.code().equals("RESOURCE_ALREADY_EXISTS")) {
				throw ex;
			}
		}
	}

	private static Matcher parse(String uri) {
		Matcher parts = ADDRESS.matcher(uri);
		if (!parts.matches()) {
			throw invalid(uri);
		}
		return parts;
	}

	private static InvalidInputException invalid(String uri) {
		return new InvalidInputException(uri, "names no model",
				"write models:/name@alias, models:/name/3 or runs:/id/path");
	}

	private static String sha256(Path file) throws IOException {
		try {
			MessageDigest digest = MessageDigest.getInstance("SHA-256");
			try (InputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
				byte[] buffer = new byte[1 << 16];
				while (in.read(buffer) >= 0) {
					// the stream does the work
				}
			}
			return HexFormat.of().formatHex(digest.digest());
		}
		catch (NoSuchAlgorithmException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/** What may fail at the server or at a disk. */
	@FunctionalInterface
	private interface Work<T> {

		T done() throws IOException;

	}

	private static <T> T reporting(Object where, Work<T> work) {
		try {
			return work.done();
		}
		catch (MlflowException ex) {
			throw ex.toInvalidInput();
		}
		catch (IOException ex) {
			throw new InvalidInputException(where.toString(), "cannot be read or written (" + ex + ")",
					"check the free space and the permissions there", ex);
		}
	}

	/**
	 * What belongs to a new version.
	 */
	public static final class Registration {

		private final Map<String, Double> metrics = new TreeMap<>();

		private final List<String> aliases = new ArrayList<>();

		private String experiment = "Default";

		private @Nullable String runId;

		private Registration() {
		}

		/**
		 * Adds a metric, which becomes one of the run and a tag of the version.
		 * @param name of the metric
		 * @param value of the metric
		 * @return this
		 */
		public Registration metric(String name, double value) {
			this.metrics.put(name, value);
			return this;
		}

		/**
		 * Adds an alias.
		 * @param alias such as {@code champion}
		 * @return this
		 */
		public Registration alias(String alias) {
			this.aliases.add(alias);
			return this;
		}

		/**
		 * The run the files go to.
		 * @param runId of the training, see {@link MlflowStatus#runId()}; a new one by
		 * default
		 * @return this
		 */
		public Registration runId(String runId) {
			this.runId = runId;
			return this;
		}

		/**
		 * The experiment of the new run, where no run is given.
		 * @param name {@code Default} by default
		 * @return this
		 */
		public Registration experiment(String name) {
			this.experiment = name;
			return this;
		}

	}

}

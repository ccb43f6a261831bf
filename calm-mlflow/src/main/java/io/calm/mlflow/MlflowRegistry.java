package io.calm.mlflow;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import io.calm.checkpoint.ModelDirectory;
import io.calm.input.InvalidInputException;
import io.calm.training.Checkpoint;
import org.jspecify.annotations.Nullable;
import org.mlflow.api.proto.ModelRegistry;
import org.mlflow.api.proto.ModelRegistry.CreateModelVersion;
import org.mlflow.api.proto.ModelRegistry.CreateRegisteredModel;
import org.mlflow.api.proto.ModelRegistry.GetModelVersion;
import org.mlflow.api.proto.ModelRegistry.GetModelVersionByAlias;
import org.mlflow.api.proto.ModelRegistry.ModelVersionTag;
import org.mlflow.api.proto.ModelRegistry.SetModelVersionTag;
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
 * appears in the cache only when every file of it has the right sum and is on the disk,
 * and is looked at again whenever it is used.
 */
public final class MlflowRegistry {

	/** With which all of this was tested. */
	static final String TESTED_SERVER = "3.17.2";

	private static final String CHECKSUMS = "checksums.sha256";

	/** The tag of a version with the sum of the file of sums. */
	private static final String DIGEST_TAG = "calm.sha256";

	private static final String MODEL = "model";

	private static final int MOST_CHECKSUMS = ArtifactStore.LONGEST_TEXT;

	private static final Pattern ADDRESS = Pattern
		.compile("models:/([^/@]+)(?:@(?<alias>[^/@]+)|/(?<version>\\d+))|runs:/(?<run>[^/]+)/(?<path>.*[^/]/*)");

	private static final Pattern SUM = Pattern.compile("([0-9a-f]{64}) [ *](.+)");

	/** What a file may be called, so that a server and every system take it. */
	private static final Pattern NAME = Pattern.compile("[^\\p{Cntrl}/\\\\:*?\"<>|#%]+");

	private static final Pattern ALIAS = Pattern.compile("(?!latest$|v\\d+$)[\\w-]+");

	/** Those of this process: opening the file once more would give up its lock. */
	private static final Set<Path> FILLING = ConcurrentHashMap.newKeySet();

	private final MlflowApi api;

	private final Path cache;

	private final ModelCache models;

	private MlflowRegistry(MlflowApi api, Path cache, long limit) {
		this.api = api;
		this.cache = cache;
		this.models = new ModelCache(cache, limit);
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
		 * The address under which MLflow and {@code calm.model.location} know this
		 * version.
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
		return of(connection, userCache());
	}

	/**
	 * Where models are kept if nothing else is said.
	 * @return {@code calm/models} in the user's cache directory
	 */
	public static Path userCache() {
		String given = System.getenv("XDG_CACHE_HOME");
		Path caches = (given != null && !given.isBlank()) ? Path.of(given)
				: Path.of(System.getProperty("user.home"), ".cache");
		return caches.resolve("calm").resolve("models");
	}

	/**
	 * The registry of a server.
	 * @param connection to the server
	 * @param cache where models are kept, all of them
	 * @return the registry; nothing is called yet
	 */
	public static MlflowRegistry of(MlflowConnection connection, Path cache) {
		return of(connection, cache, Long.MAX_VALUE);
	}

	/**
	 * The registry of a server, with a cache that does not grow for ever: whenever a
	 * model is loaded, those that were used the longest time ago are deleted until the
	 * limit is kept. What an address has led to last stays as long as the process lives,
	 * whatever the limit, and so does what other processes use.
	 * @param connection to the server
	 * @param cache where models are kept
	 * @param limit of the models in it, in bytes
	 * @return the registry; nothing is called yet
	 */
	public static MlflowRegistry of(MlflowConnection connection, Path cache, long limit) {
		return new MlflowRegistry(new MlflowApi(connection), cache, limit);
	}

	/**
	 * Registers a finished model as a new version. Beside the model's own files it gets
	 * an {@code MLmodel} and what belongs to it, so that Python and MLflow itself can use
	 * it; if TensorFlow cannot open the model, the version lacks them, and a warning says
	 * why.
	 * @param name of the registered model; made if it is not there
	 * @param model its directory
	 * @param options set metrics, aliases and the run it belongs to
	 * @return the version
	 * @throws InvalidInputException if the directory holds no model, or the server does
	 * not take it
	 */
	public Version register(String name, Path model, Consumer<Registration> options) {
		if (!name.matches("[^/:@\\p{Cntrl}]+") || name.isBlank()) {
			throw new InvalidInputException("model name " + name, "holds a slash, a colon or an at sign, or is empty",
					"choose another name");
		}
		if (ModelDirectory.open(model).base().isPresent()) {
			throw new InvalidInputException(model.toString(),
					"is an adapter, whose base would be missing where the version is used",
					"merge it with its base, with 'calm merge' or Calm.merge, and register the result");
		}
		Registration registration = new Registration();
		options.accept(registration);
		for (String alias : registration.aliases) {
			checkAlias(alias);
		}
		return reporting(model, () -> {
			// before anything is made on the server
			Map<String, Path> files = files(model);
			RunInfo run;
			String sums;
			Path flavors = Files.createTempDirectory("calm-mlmodel");
			try {
				files.putAll(PythonFlavors.write(model, flavors));
				run = run(name, registration);
				sums = upload(files, this.api.store(run.getArtifactUri()));
			}
			finally {
				SpoolFile.deleteAll(flavors);
			}
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
				finish(run.getRunId());
			}
			registration.aliases.forEach((alias) -> putAlias(name, alias, version));
			return version(name, version);
		});
	}

	/**
	 * Records how a version scores on a text: metrics of its run under
	 * {@code evaluation/}, tags of the version, and the text's digest as a dataset of the
	 * run. Of several evaluations, the tags are those of the last.
	 * @param uri {@code models:/name@alias} or {@code models:/name/3}
	 * @param scores by name, such as {@code brier_lm}
	 * @param dataset a name of the text
	 * @param digest of the text, see {@link io.calm.text.TokenStore#digest()}
	 * @return the version
	 * @throws InvalidInputException if there is no such version, or the server does not
	 * take it
	 */
	public Version recordEvaluation(String uri, Map<String, Double> scores, String dataset, String digest) {
		Version version = find(uri);
		return reporting(uri, () -> {
			recordScores(version.runId(), scores, dataset, digest);
			Map<String, String> tags = new TreeMap<>(Map.of("metric.evaluation.data_digest", digest));
			scores.forEach((name, value) -> tags.put("metric.evaluation." + name, String.valueOf(value)));
			tags.forEach((key, value) -> this.api.post("model-versions/set-tag",
					SetModelVersionTag.newBuilder()
						.setName(version.name())
						.setVersion(String.valueOf(version.version()))
						.setKey(key)
						.setValue(value),
					SetModelVersionTag.Response.newBuilder()));
			return version(version.name(), String.valueOf(version.version()));
		});
	}

	/**
	 * Records how a model that is not registered scores on a text, as a run of its own.
	 * @param experiment of the run; made if it is not there
	 * @param run its name
	 * @param scores by name, such as {@code brier_lm}
	 * @param dataset a name of the text
	 * @param digest of the text, see {@link io.calm.text.TokenStore#digest()}
	 * @return the id of the run
	 * @throws InvalidInputException if the server does not take it
	 */
	public String recordEvaluation(String experiment, String run, Map<String, Double> scores, String dataset,
			String digest) {
		return reporting(run, () -> {
			String id = newRun(experiment, run).getRunId();
			recordScores(id, scores, dataset, digest);
			finish(id);
			return id;
		});
	}

	private void recordScores(String runId, Map<String, Double> scores, String dataset, String digest) {
		Map<String, Double> metrics = new TreeMap<>();
		scores.forEach((name, value) -> metrics.put(MlflowListener.EVALUATION + name, value));
		log(runId, metrics);
		this.api.logDataset(runId, dataset, digest, "evaluation");
	}

	/**
	 * Lets an alias name a version; another version loses it.
	 * @param name of the registered model
	 * @param alias such as {@code champion}
	 * @param version to name
	 */
	public void setAlias(String name, String alias, int version) {
		checkAlias(alias);
		reporting(name, () -> {
			putAlias(name, alias, String.valueOf(version));
			return version;
		});
	}

	private static void checkAlias(String alias) {
		if (!ALIAS.matcher(alias).matches()) {
			throw new InvalidInputException("alias " + alias, "is none that MLflow takes",
					"use letters, digits, hyphens and underscores, and neither latest nor v and a number");
		}
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
				return load(uri, parts.group("run"), parts.group("path").replaceAll("/+$", ""), null);
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
		String list = checksums(uri, run, path);
		String found = sha256(list);
		if (digest != null && !digest.equals(found)) {
			throw damaged(uri, CHECKSUMS);
		}
		Map<String, String> sums = sums(uri, list);
		deleteAbandoned();
		this.models.use(found);
		try {
			Path whole = whole(uri, run, path, list, found, sums);
			this.models.used(found, uri);
			return whole;
		}
		finally {
			this.models.unused(found);
		}
	}

	private Path whole(String uri, RunInfo run, String path, String list, String found, Map<String, String> sums)
			throws IOException {
		Path complete = this.cache.resolve(found);
		if (isWhole(complete, found, sums)) {
			return complete;
		}
		Path incomplete = this.cache.resolve(ModelCache.incomplete());
		FILLING.add(incomplete);
		try {
			fill(Files.createDirectory(incomplete), uri, run, path, sums);
			Files.writeString(incomplete.resolve(CHECKSUMS), list);
			sync(incomplete);
			return moved(incomplete, complete, found, sums);
		}
		finally {
			SpoolFile.deleteAll(incomplete);
			FILLING.remove(incomplete);
		}
	}

	private void fill(Path incomplete, String uri, RunInfo run, String path, Map<String, String> sums)
			throws IOException {
		Path lockFile = incomplete.resolve(ModelCache.LOCK);
		try (FileChannel channel = FileChannel.open(lockFile, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
				FileLock lock = channel.lock()) {
			ArtifactStore store = this.api.store(run.getArtifactUri());
			Map<String, Long> sizes = store.isListed() ? sizes(run.getRunId(), path) : Map.of();
			for (Map.Entry<String, String> sum : sums.entrySet()) {
				Path file = incomplete.resolve(sum.getKey());
				Files.createDirectories(file.getParent());
				store.download(path + "/" + sum.getKey(), sizes.getOrDefault(path + "/" + sum.getKey(), 0L), file);
				if (!sha256(file).equals(sum.getValue())) {
					throw damaged(uri, sum.getKey());
				}
			}
			Files.delete(lockFile);
		}
	}

	/** What a process that was killed has left. */
	private void deleteAbandoned() throws IOException {
		List<Path> incomplete;
		try (Stream<Path> all = Files.list(this.cache)) {
			incomplete = all.filter((path) -> path.getFileName().toString().startsWith(ModelCache.INCOMPLETE)).toList();
		}
		for (Path path : incomplete) {
			if (FILLING.contains(path)) {
				continue;
			}
			try (FileChannel channel = FileChannel.open(path.resolve(ModelCache.LOCK), StandardOpenOption.WRITE);
					FileLock lock = channel.tryLock()) {
				if (lock != null) {
					SpoolFile.deleteAll(path);
				}
			}
			catch (NoSuchFileException | OverlappingFileLockException ex) {
				// it is just being made, or moved to its place
			}
		}
	}

	/** Whether a directory holds the files of the sums and no others. */
	private static boolean isWhole(Path directory, String digest, Map<String, String> sums) throws IOException {
		if (!Files.isDirectory(directory)) {
			return false;
		}
		Set<String> there = new TreeSet<>();
		try (Stream<Path> walk = Files.walk(directory)) {
			for (Path file : walk.filter((path) -> !Files.isDirectory(path)).toList()) {
				there.add(nameOf(directory, file));
			}
		}
		if (!there.remove(CHECKSUMS) || !there.equals(sums.keySet())
				|| !sha256(directory.resolve(CHECKSUMS)).equals(digest)) {
			return false;
		}
		for (Map.Entry<String, String> sum : sums.entrySet()) {
			if (!sha256(directory.resolve(sum.getKey())).equals(sum.getValue())) {
				return false;
			}
		}
		return true;
	}

	private static void sync(Path directory) throws IOException {
		try (Stream<Path> walk = Files.walk(directory)) {
			for (Path path : walk.toList()) {
				if (Files.isDirectory(path)) {
					SpoolFile.syncDirectory(path);
				}
				else {
					try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
						channel.force(true);
					}
				}
			}
		}
	}

	private String checksums(String uri, RunInfo run, String path) {
		try {
			return this.api.store(run.getArtifactUri()).download(path + "/" + CHECKSUMS);
		}
		catch (MlflowException ex) {
			if (ex.status() == MlflowException.NOT_FOUND) {
				throw new InvalidInputException(uri, "has no " + CHECKSUMS,
						"register the model with this library, or put the output of sha256sum beside its files");
			}
			throw ex;
		}
	}

	/**
	 * Puts a directory in its place. Another process may have fetched the same; what lies
	 * there and is damaged goes.
	 */
	private Path moved(Path incomplete, Path complete, String digest, Map<String, String> sums) throws IOException {
		if (Files.exists(complete)) {
			if (isWhole(complete, digest, sums)) {
				return complete;
			}
			Path damaged = this.cache.resolve(ModelCache.incomplete());
			Files.move(complete, damaged, StandardCopyOption.ATOMIC_MOVE);
			SpoolFile.deleteAll(damaged);
		}
		try {
			Files.move(incomplete, complete, StandardCopyOption.ATOMIC_MOVE);
			SpoolFile.syncDirectory(this.cache);
			return complete;
		}
		catch (IOException ex) {
			if (isWhole(complete, digest, sums)) {
				return complete;
			}
			throw ex;
		}
	}

	private static InvalidInputException damaged(String uri, String file) {
		return new InvalidInputException(uri, file + " is not what was registered",
				"try again; if it stays so, somebody has changed the server's files: register the model again");
	}

	private static Map<String, String> sums(String uri, String list) {
		if (list.length() > MOST_CHECKSUMS) {
			throw damaged(uri, CHECKSUMS);
		}
		Map<String, String> sums = new TreeMap<>();
		for (String line : list.lines().toList()) {
			Matcher sum = SUM.matcher(line);
			if (!sum.matches() || !isName(sum.group(2))) {
				throw damaged(uri, CHECKSUMS);
			}
			sums.put(sum.group(2), sum.group(1));
		}
		return sums;
	}

	/** Whether a path can be sent and fetched, and leads nowhere out of the directory. */
	private static boolean isName(String path) {
		for (String part : path.split("/", -1)) {
			if (!NAME.matcher(part).matches() || part.matches("\\.\\.?")) {
				return false;
			}
		}
		return !path.equals(ModelCache.LOCK) && !path.equals(CHECKSUMS);
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
		return newRun(registration.experiment, "register " + name);
	}

	private RunInfo newRun(String experiment, String name) {
		CreateRun.Builder create = CreateRun.newBuilder()
			.setExperimentId(this.api.experiment(null, experiment))
			.setRunName(name)
			.setStartTime(System.currentTimeMillis());
		Origin.tags().forEach((key, value) -> create.addTags(RunTag.newBuilder().setKey(key).setValue(value)));
		create.setUserId(Origin.tags().getOrDefault(MlflowTagConstants.USER, ""));
		return this.api.post("runs/create", create, CreateRun.Response.newBuilder()).getRun().getInfo();
	}

	private void finish(String runId) {
		this.api.post("runs/update",
				UpdateRun.newBuilder()
					.setRunId(runId)
					.setStatus(RunStatus.FINISHED)
					.setEndTime(System.currentTimeMillis()),
				UpdateRun.Response.newBuilder());
	}

	private static boolean isOfTheModel(String fileName) {
		return !fileName.equals(CHECKSUMS) && !Checkpoint.isOfTraining(fileName);
	}

	/** The files of a model by their names; those that links lead to, too. */
	private static Map<String, Path> files(Path model) throws IOException {
		Map<String, Path> files = new TreeMap<>();
		try (Stream<Path> walk = Files.walk(model, FileVisitOption.FOLLOW_LINKS)) {
			for (Path file : walk.toList()) {
				if (Files.isDirectory(file) || !isOfTheModel(file.getFileName().toString())) {
					continue;
				}
				String name = nameOf(model, file);
				if (!Files.isRegularFile(file)) {
					throw new InvalidInputException(file.toString(),
							Files.isSymbolicLink(file) ? "is a link to nothing" : "is neither a file nor a directory",
							"delete it, or put back what belongs there");
				}
				if (!isName(name)) {
					throw new InvalidInputException(file.toString(), "has a name that cannot be registered",
							"use no control characters and none of \\ : * ? \" < > | # %");
				}
				files.put(name, file);
			}
		}
		catch (UncheckedIOException ex) {
			throw ex.getCause();
		}
		if (files.keySet().stream().mapToInt((name) -> 67 + name.length()).sum() > MOST_CHECKSUMS) {
			throw new InvalidInputException(model.toString(), "holds " + files.size() + " files, which are too many",
					"leave out what does not belong to the model");
		}
		return files;
	}

	private static String nameOf(Path directory, Path file) {
		return directory.relativize(file).toString().replace(directory.getFileSystem().getSeparator(), "/");
	}

	/** Files first, then their sums; the sum of those. */
	private static String upload(Map<String, Path> files, ArtifactStore store) throws IOException {
		StringBuilder list = new StringBuilder();
		for (Map.Entry<String, Path> file : files.entrySet()) {
			store.upload(MODEL + "/" + file.getKey(), file.getValue());
			list.append(sha256(file.getValue())).append("  ").append(file.getKey()).append('\n');
		}
		store.upload(MODEL + "/" + CHECKSUMS, list.toString());
		return sha256(list.toString());
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

	private static String sha256(String text) throws IOException {
		return sha256(new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)));
	}

	private static String sha256(Path file) throws IOException {
		try (InputStream in = Files.newInputStream(file)) {
			return sha256(in);
		}
	}

	private static String sha256(InputStream in) throws IOException {
		try {
			MessageDigest digest = MessageDigest.getInstance("SHA-256");
			byte[] buffer = new byte[1 << 16];
			for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
				digest.update(buffer, 0, read);
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
		catch (IOException | UncheckedIOException ex) {
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
		 * Points an alias at the new version.
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

package io.calm.hub;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpResponse;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * Fetches model directories from Hugging Face or another hub that speaks like it. What
 * has been fetched lies in the cache that Hugging Face's Python libraries use too, and is
 * not fetched again. A download that was cut off goes on where it was.
 */
public final class Hub {

	private static final String DEFAULT_ENDPOINT = "https://huggingface.co";

	private static final int MOST_ANSWER_BYTES = 16 << 20;

	private static final int MOST_FILES = 10_000;

	/** Of a model, and of its autoencoder; nothing that could be run. */
	private static final Pattern WANTED = Pattern
		.compile("(autoencoder/)?[A-Za-z0-9][A-Za-z0-9._-]{0,200}\\.(json|safetensors)");

	/** Of a tokenizer; the repository may hold a large model that is not needed. */
	private static final Pattern TOKENIZER = Pattern.compile("tokenizer(_config)?\\.json");

	/** What may be asked for by name. */
	private static final Pattern NAMEABLE = Pattern.compile("(autoencoder/)?[A-Za-z0-9][A-Za-z0-9._-]{0,200}");

	private static final String AUTOENCODER = "autoencoder/";

	private static final Pattern DIGEST = Pattern.compile("[0-9a-f]{40}|[0-9a-f]{64}");

	private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

	private final HubClient client;

	private final Path cache;

	/**
	 * A hub.
	 * @param endpoint its address
	 * @param token that says who asks; null for nobody. It is sent to the endpoint alone
	 * @param cache the directory {@code hub} of the cache
	 * @throws InvalidInputException if the endpoint is no address, or a token would be
	 * sent unencrypted
	 */
	public Hub(String endpoint, @Nullable String token, Path cache) {
		this(endpoint, token, cache, Duration.ofSeconds(1));
	}

	Hub(String endpoint, @Nullable String token, Path cache, Duration pause) {
		this.client = new HubClient(address(endpoint, token != null), token, pause);
		this.cache = cache;
	}

	/**
	 * The hub and the cache that the environment names: {@code HF_ENDPOINT},
	 * {@code HF_TOKEN}, {@code HF_HUB_CACHE} and {@code HF_HOME}. By default Hugging Face
	 * without a token, and {@code ~/.cache/huggingface}.
	 * @return the hub
	 * @throws InvalidInputException as the constructor does
	 */
	public static Hub ofEnvironment() {
		Path home = Path
			.of(environment("HF_HOME", Path.of(System.getProperty("user.home"), ".cache", "huggingface").toString()));
		Path cache = Path.of(environment("HF_HUB_CACHE", home.resolve("hub").toString()));
		String token = environment("HF_TOKEN", "");
		return new Hub(environment("HF_ENDPOINT", DEFAULT_ENDPOINT), token.isEmpty() ? null : token, cache);
	}

	/** An empty variable is none. */
	private static String environment(String name, String otherwise) {
		String value = System.getenv(name);
		return (value == null || value.isBlank()) ? otherwise : value.strip();
	}

	private static URI address(String endpoint, boolean secret) {
		try {
			URI address = URI.create(endpoint);
			boolean http = "http".equals(address.getScheme());
			if ((http || "https".equals(address.getScheme())) && address.getHost() != null) {
				if (http && secret && !Set.of("localhost", "127.0.0.1", "[::1]").contains(address.getHost())) {
					throw new InvalidInputException("HF_ENDPOINT=" + endpoint, "would get HF_TOKEN unencrypted",
							"use https, or unset HF_TOKEN");
				}
				return address;
			}
		}
		catch (IllegalArgumentException ex) {
			// says the same as below
		}
		throw new InvalidInputException("HF_ENDPOINT=" + endpoint, "is no address of a hub",
				"write it like " + DEFAULT_ENDPOINT);
	}

	/** Is told how a download goes on. */
	@FunctionalInterface
	public interface Progress {

		/**
		 * Called every few megabytes of a file that is fetched.
		 * @param file which is fetched
		 * @param bytes that are there
		 * @param size of the whole
		 */
		void fetched(String file, long bytes, long size);

	}

	/**
	 * Fetches what a model directory needs: its files of the types json and safetensors,
	 * and those of its directory {@code autoencoder}.
	 * @param model which one
	 * @param more other files to fetch by name, such as {@code pytorch_model.bin}
	 * @param progress is told how it goes on
	 * @return the directory in the cache, not to be changed
	 * @throws InvalidInputException if the hub does not have the model or does not give
	 * it away, or the files cannot be written
	 */
	public Path pull(ModelName model, Collection<String> more, Progress progress) {
		for (String name : more) {
			if (!NAMEABLE.matcher(name).matches()) {
				throw new InvalidInputException(name, "is no file of a model directory",
						"name one like pytorch_model.bin");
			}
		}
		return pull(model, (listing) -> files(listing, model, WANTED, more, "config.json"), progress);
	}

	/**
	 * Fetches a tokenizer, and nothing else of the repository that it is in.
	 * @param model in whose repository it is
	 * @param progress is told how it goes on
	 * @return the directory in the cache in which {@code tokenizer.json} is, perhaps
	 * among other files; not to be changed
	 * @throws InvalidInputException if the hub does not have it or does not give it away,
	 * or the files cannot be written
	 */
	public Path pullTokenizer(ModelName model, Progress progress) {
		return pull(model, (listing) -> files(listing, model, TOKENIZER, List.of(), "tokenizer.json"), progress);
	}

	/**
	 * Makes one model directory of parts that have been fetched from several
	 * repositories. It holds links to their files and lies in the model's directory of
	 * the cache, where Python's libraries leave it alone and delete it with the model.
	 * The same parts give the same directory.
	 * @param model the model, as {@link #pull(ModelName, Collection, Progress)} has
	 * returned it
	 * @param autoencoder its autoencoder, in the same way; null to keep the one that it
	 * may have
	 * @param tokenizer its tokenizer, as {@link #pullTokenizer} has returned it; null to
	 * keep the one that it may have
	 * @param more files other than json and safetensors, by their names in the new
	 * directory, such as {@code autoencoder/pytorch_model.bin}
	 * @return the directory, complete; not to be changed
	 * @throws InvalidInputException if it cannot be written
	 */
	public static Path putTogether(Path model, @Nullable Path autoencoder, @Nullable Path tokenizer,
			Collection<String> more) {
		try {
			LinkedModel linked = new LinkedModel((name) -> WANTED.matcher(name).matches() || more.contains(name));
			linked.add("", model);
			if (autoencoder != null) {
				linked.replace((name) -> name.startsWith(AUTOENCODER), AUTOENCODER, autoencoder);
			}
			if (tokenizer != null) {
				linked.replace((name) -> TOKENIZER.matcher(name).matches(), "", tokenizer);
			}
			return linked.makeIn(model.resolve("../../calm").normalize());
		}
		catch (IOException | UncheckedIOException ex) {
			throw new InvalidInputException(model.toString(), "cannot be linked beside it (" + ex + ")",
					"check the permissions there, and try again", ex);
		}
	}

	private Path pull(ModelName model, Function<JsonObject, List<HubFile>> chosen, Progress progress) {
		Path directory = this.cache.resolve(model.directory());
		try {
			JsonObject listing = listing(model);
			String commit = text(listing, "sha");
			if (!COMMIT.matcher(commit).matches()) {
				throw new JsonParseException("no commit");
			}
			List<HubFile> files = chosen.apply(listing);
			Path snapshot = directory.resolve("snapshots").resolve(commit);
			Path blobs = Files.createDirectories(directory.resolve("blobs"));
			checkSpace(files, blobs, model);
			for (HubFile file : files) {
				Path blob = blobs.resolve(file.digest());
				if (!Files.exists(blob)) {
					fetch(model, commit, file, blob, progress);
				}
				link(snapshot.resolve(file.path()), blob);
			}
			if (!model.revision().equals(commit)) {
				write(directory.resolve("refs").resolve(model.revision()), commit);
			}
			return snapshot;
		}
		catch (JsonParseException | IllegalStateException | NumberFormatException ex) {
			throw new InvalidInputException(model.toString(), "is listed by the hub in a form that is not known here",
					"check HF_ENDPOINT", ex);
		}
		catch (IOException | UncheckedIOException ex) {
			throw new InvalidInputException(model.toString(), "cannot be fetched to " + directory + " (" + ex + ")",
					"check the network, the free space and the permissions, and try again: what is there is kept", ex);
		}
	}

	private JsonObject listing(ModelName model) throws IOException {
		String path = "/api/models/" + model.owner() + "/" + model.name() + "/revision/"
				+ URLEncoder.encode(model.revision(), StandardCharsets.UTF_8) + "?blobs=true";
		for (int attempt = 1;; attempt++) {
			try (InputStream body = this.client.get(path, 0, model).body()) {
				byte[] answer = body.readNBytes(MOST_ANSWER_BYTES + 1);
				if (answer.length > MOST_ANSWER_BYTES) {
					throw new JsonParseException("too long");
				}
				return JsonParser.parseString(new String(answer, StandardCharsets.UTF_8)).getAsJsonObject();
			}
			catch (IOException ex) {
				again(attempt, ex);
			}
		}
	}

	private static List<HubFile> files(JsonObject listing, ModelName model, Pattern wanted, Collection<String> more,
			String required) {
		if (!(listing.get("siblings") instanceof JsonArray siblings) || siblings.size() > MOST_FILES) {
			throw new JsonParseException("no files, or too many");
		}
		List<HubFile> files = new ArrayList<>();
		List<String> missing = new ArrayList<>(more);
		for (JsonElement element : siblings) {
			JsonObject sibling = element.getAsJsonObject();
			String name = text(sibling, "rfilename");
			if (wanted.matcher(name).matches() || missing.contains(name)) {
				JsonObject content = (sibling.get("lfs") instanceof JsonObject large) ? large : sibling;
				String digest = text(content, (content == sibling) ? "blobId" : "sha256");
				long size = Long.parseLong(text(content, "size"));
				if (!DIGEST.matcher(digest).matches() || size < 0) {
					throw new JsonParseException("no digest or size");
				}
				files.add(new HubFile(name, size, digest));
				missing.remove(name);
			}
		}
		if (!missing.isEmpty()) {
			throw new InvalidInputException(model.toString(), "has no file " + missing.get(0), "check its name");
		}
		if (files.stream().noneMatch((file) -> file.path().equals(required))) {
			throw new InvalidInputException(model.toString(), "has no file " + required, "check name and revision");
		}
		return files;
	}

	private static String text(JsonObject object, String name) {
		JsonElement value = object.get(name);
		if (value == null || !value.isJsonPrimitive()) {
			throw new JsonParseException("no " + name);
		}
		return value.getAsString();
	}

	private static void checkSpace(List<HubFile> files, Path blobs, ModelName model) throws IOException {
		long needed = 0;
		for (HubFile file : files) {
			Path blob = blobs.resolve(file.digest());
			Path part = unfinished(blob);
			needed += Files.exists(blob) ? 0 : file.size() - (Files.exists(part) ? Files.size(part) : 0);
		}
		long free = Files.getFileStore(blobs).getUsableSpace();
		if (needed > free) {
			throw new InvalidInputException(model.toString(),
					"needs %,d MB in %s, where %,d MB are free".formatted(needed / 1_000_000, blobs, free / 1_000_000),
					"free space there, or name another directory with HF_HOME");
		}
	}

	private static Path unfinished(Path blob) {
		return blob.resolveSibling(blob.getFileName() + ".incomplete");
	}

	private void fetch(ModelName model, String commit, HubFile file, Path blob, Progress progress) throws IOException {
		Path part = unfinished(blob);
		try (FileChannel channel = FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
			lock(channel, part);
			if (Files.exists(blob)) {
				return;
			}
			for (int attempt = 1; channel.size() < file.size() || attempt == 1; attempt++) {
				try {
					if (channel.size() > file.size()) {
						channel.truncate(0);
					}
					goOn(model, commit, file, channel, progress);
				}
				catch (IOException ex) {
					again(attempt, ex);
				}
			}
			channel.force(true);
			if (!file.is(part)) {
				channel.truncate(0);
				throw new IOException(file.path() + " is not what the hub lists: its digest is another one");
			}
			Files.move(part, blob, StandardCopyOption.ATOMIC_MOVE);
		}
	}

	private static void lock(FileChannel channel, Path part) throws IOException {
		try {
			if (channel.tryLock() != null) {
				return;
			}
		}
		catch (OverlappingFileLockException ex) {
			// another thread of this process
		}
		throw new IOException("another download writes " + part);
	}

	private void goOn(ModelName model, String commit, HubFile file, FileChannel channel, Progress progress)
			throws IOException {
		long from = channel.size();
		if (from == file.size()) {
			return;
		}
		String path = "/" + model.owner() + "/" + model.name() + "/resolve/" + commit + "/" + file.path();
		HttpResponse<InputStream> response = this.client.get(path, from, model);
		try (InputStream body = response.body()) {
			boolean goesOn = response.statusCode() == 206
					&& response.headers().firstValue("Content-Range").orElse("").startsWith("bytes " + from + "-");
			if (!goesOn) {
				if (response.statusCode() == 206) {
					throw new IOException("the hub sends another part than it was asked for");
				}
				// the whole again
				channel.truncate(0);
				from = 0;
			}
			channel.position(from);
			OutputStream out = Channels.newOutputStream(channel);
			byte[] buffer = new byte[1 << 16];
			for (int count = body.read(buffer); count >= 0; count = body.read(buffer)) {
				from += count;
				if (from > file.size()) {
					channel.truncate(0);
					throw new IOException(file.path() + " is longer than the hub lists");
				}
				out.write(buffer, 0, count);
				progress.fetched(file.path(), from, file.size());
			}
		}
		if (from < file.size()) {
			throw new IOException("the connection was cut");
		}
	}

	private void again(int attempt, IOException ex) throws IOException {
		if (attempt >= this.client.attempts() || Thread.currentThread().isInterrupted()) {
			throw ex;
		}
		this.client.pause(attempt);
	}

	/** As Python's libraries do; where there are no links, a copy. */
	static void link(Path file, Path blob) throws IOException {
		if (Files.exists(file)) {
			return;
		}
		Path directory = Files.createDirectories(Objects.requireNonNull(file.getParent()));
		Files.deleteIfExists(file);
		try {
			Files.createSymbolicLink(file, directory.relativize(blob));
		}
		catch (UnsupportedOperationException ex) {
			Files.copy(blob, file);
		}
	}

	private static void write(Path file, String content) throws IOException {
		Files.createDirectories(file.getParent());
		Path unfinished = Files.createTempFile(file.getParent(), "ref", ".unfinished");
		Files.writeString(unfinished, content);
		Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
	}

}

package io.calm.text;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

import io.calm.input.InvalidInputException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A directory in which the tokens of corpora are kept, so that each is tokenized once:
 * for autoencoder, language model and baseline, and for a training that goes on. A file
 * is named by a digest of text, tokenizer and how the text is read, so it needs no
 * looking after; it may be deleted at any time. It can be read by its owner alone, since
 * tokens are as private as the text.
 * <p>
 * A file takes 2 bytes per token, 4 if the vocabulary has more than 65536, and 8 bytes
 * per document, 12 if it is a prompt with its answer. It is checked when it is opened:
 * one that was cut short or has changed is made again. Several processes may share a
 * directory: the first makes the tokens, the others wait for them. A tokenizer that is
 * learned from a text is kept the same way.
 */
public final class TokenCache {

	private static final Logger LOG = LoggerFactory.getLogger(TokenCache.class);

	private static final String SUFFIX = ".tokens";

	/** Of a file that is being written; after a crash, of one that is left. */
	private static final String PART = ".part";

	/** Changes when the same text and tokenizer make other tokens than before. */
	private static final String VERSION = "calm tokens 1";

	/** The same of what is learned from a text. */
	private static final String LEARNED_VERSION = "calm tokenizer 1";

	private static final long MILLISECONDS_BETWEEN_TRIES = 200;

	/** File locks are for processes, this one is for threads. Each uses all cores. */
	private static final ReentrantLock MAKING = new ReentrantLock();

	private final Path directory;

	private TokenCache(Path directory) {
		this.directory = directory;
	}

	/**
	 * A cache in a directory, which is made when the first tokens are kept in it.
	 * @param directory the place
	 * @return the cache
	 */
	public static TokenCache in(Path directory) {
		return new TokenCache(directory);
	}

	/**
	 * The tokens of a corpus, if they are kept here. Reads the files of the corpus to
	 * know them again, and the tokens to check them.
	 * @param corpus the text
	 * @param tokenizer makes tokens of it
	 * @return the store, to be closed by the caller; nothing if there is none, or if it
	 * is damaged
	 * @throws InvalidInputException if the corpus cannot be read
	 */
	public Optional<TokenStore> find(Corpus corpus, Tokenizer tokenizer) {
		return open(file(corpus, tokenizer));
	}

	/**
	 * The tokens of a corpus, made with {@link TokenStore#of(Corpus, Tokenizer)} if they
	 * are not kept here yet.
	 * @param corpus the text
	 * @param tokenizer makes tokens of it; not closed by the store
	 * @param progress is told how far the making is; not called if they are kept
	 * @return the store, to be closed by the caller
	 * @throws InvalidInputException if the corpus cannot be read or has no text, or the
	 * directory cannot be written
	 */
	public TokenStore get(Corpus corpus, Tokenizer tokenizer, TokenProgress progress) {
		return get(() -> file(corpus, tokenizer), tokenizer.vocabularySize(),
				(writer) -> Tokenizing.write(corpus, tokenizer, writer, progress));
	}

	/**
	 * A tokenizer that is learned from a corpus with {@link Tokenizer#train}, if it is
	 * not kept here yet.
	 * @param corpus the text
	 * @param vocabularySize the number of ids
	 * @return the tokenizer, to be closed by the caller
	 * @throws InvalidInputException if the vocabulary is too small or too large, the
	 * corpus cannot be read, or the directory cannot be written
	 */
	public Tokenizer tokenizer(Corpus corpus, int vocabularySize) {
		int most = ByteLevelTokenizer.merges(vocabularySize);
		// kept as pairs of ids, behind one more that tells no merges from no file
		try (TokenStore kept = get(() -> file(corpus, vocabularySize), vocabularySize, (writer) -> {
			writer.write(0);
			for (ByteLevelTokenizer.Merge merge : BytePairTraining.merges(corpus, most)) {
				writer.write(merge.left(), merge.right());
			}
			writer.endDocument();
		})) {
			return ByteLevelTokenizer.of(merges(kept));
		}
	}

	private static List<ByteLevelTokenizer.Merge> merges(TokenStore kept) {
		int[] ids = new int[(int) kept.length(0)];
		kept.read(0, 0, ids, 0, ids.length);
		List<ByteLevelTokenizer.Merge> merges = new ArrayList<>();
		for (int i = 1; i < ids.length - 1; i += 2) {
			int next = ByteLevelTokenizer.FIRST_MERGED + merges.size();
			if (Math.min(ids[i], ids[i + 1]) < ByteLevelTokenizer.FIRST_BYTE || Math.max(ids[i], ids[i + 1]) >= next) {
				throw new InvalidInputException("tokenizer", "is kept with merges of tokens that it does not have",
						"delete the directory of tokens");
			}
			merges.add(new ByteLevelTokenizer.Merge(ids[i], ids[i + 1]));
		}
		return merges;
	}

	private TokenStore get(Supplier<Path> name, int vocabularySize, TokenWriter.Content content) {
		Path file = name.get();
		Optional<TokenStore> kept = open(file);
		if (kept.isPresent()) {
			return kept.get();
		}
		try {
			Files.createDirectories(this.directory);
			MAKING.lockInterruptibly();
			try (FileChannel channel = FileChannel.open(this.directory.resolve(".lock"), StandardOpenOption.CREATE,
					StandardOpenOption.WRITE)) {
				boolean alone = lock(channel);
				// another one may have been faster
				kept = open(file);
				if (kept.isPresent()) {
					return kept.get();
				}
				if (alone) {
					deleteParts();
				}
				return make(name, file, vocabularySize, content);
			}
			finally {
				MAKING.unlock();
			}
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			throw unwritable(new ClosedByInterruptException());
		}
		catch (IOException ex) {
			throw unwritable(ex);
		}
	}

	/** Where the tokens of a corpus lie or will lie. */
	private Path file(Corpus corpus, Tokenizer tokenizer) {
		MessageDigest name = ContentDigest.sha256();
		name.update(VERSION.getBytes(StandardCharsets.US_ASCII));
		name.update(corpus.digest());
		name.update(TokenizerFiles.digest(tokenizer));
		name.update(ByteBuffer.allocate(3 * Integer.BYTES)
			.putInt(tokenizer.vocabularySize())
			.putInt(tokenizer.bosId())
			.putInt(tokenizer.eosId())
			.flip());
		return this.directory.resolve(HexFormat.of().formatHex(name.digest()) + SUFFIX);
	}

	/** Where what is learned from a corpus lies or will lie. */
	private Path file(Corpus corpus, int vocabularySize) {
		MessageDigest name = ContentDigest.sha256();
		name.update(LEARNED_VERSION.getBytes(StandardCharsets.US_ASCII));
		name.update(corpus.digest());
		name.update(ByteBuffer.allocate(Integer.BYTES).putInt(vocabularySize).flip());
		return this.directory.resolve(HexFormat.of().formatHex(name.digest()) + SUFFIX);
	}

	private static Optional<TokenStore> open(Path file) {
		try (FileChannel channel = FileChannel.open(file)) {
			return Optional.of(new TokenStore(TokenFile.open(channel)));
		}
		catch (NoSuchFileException ex) {
			return Optional.empty();
		}
		catch (ClosedByInterruptException ex) {
			throw unreadable(file, ex);
		}
		catch (EOFException | TokenFile.BadTokensException ex) {
			LOG.warn("The tokens in {} are damaged: {}; they are made again", file, ex.getMessage());
			return Optional.empty();
		}
		catch (IOException ex) {
			throw unreadable(file, ex);
		}
	}

	private TokenStore make(Supplier<Path> name, Path file, int vocabularySize, TokenWriter.Content content)
			throws IOException {
		// its owner alone can read it
		Path part = Files.createTempFile(this.directory, "", PART);
		try (FileChannel channel = FileChannel.open(part, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
			TokenWriter writer = new TokenWriter(channel, vocabularySize);
			content.write(writer);
			TokenFile tokens = writer.finish();
			if (!name.get().equals(file)) {
				throw new InvalidInputException("corpus", "was changed while it was read",
						"start again when nobody writes to it");
			}
			channel.force(true);
			Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
			return new TokenStore(tokens);
		}
		finally {
			Files.deleteIfExists(part);
		}
	}

	/**
	 * Waits until no other process makes tokens here.
	 * @return false where the file system knows no locks: then all may make them
	 */
	private boolean lock(FileChannel channel) throws IOException, InterruptedException {
		for (boolean told = false;; told = true) {
			try {
				if (channel.tryLock() != null) {
					return true;
				}
			}
			catch (ClosedByInterruptException ex) {
				throw ex;
			}
			catch (IOException ex) {
				LOG.warn("{} cannot be locked: {}", this.directory, ex.toString());
				return false;
			}
			if (!told) {
				LOG.info("Waiting for another process, which makes tokens in {}", this.directory);
			}
			Thread.sleep(MILLISECONDS_BETWEEN_TRIES);
		}
	}

	/** What those left behind that were killed. */
	private void deleteParts() throws IOException {
		try (DirectoryStream<Path> parts = Files.newDirectoryStream(this.directory, "*" + PART)) {
			for (Path part : parts) {
				Files.deleteIfExists(part);
			}
		}
	}

	private static InvalidInputException unreadable(Path file, IOException ex) {
		return new InvalidInputException(file.toString(), "cannot be read (" + ex + ")",
				"check its permissions, or keep the tokens in another directory", ex);
	}

	private InvalidInputException unwritable(IOException ex) {
		return new InvalidInputException(this.directory.toString(), "the tokens cannot be kept there (" + ex + ")",
				"free space there, check the permissions, or name another directory", ex);
	}

}

package io.calm.text;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Queue;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * Documents in {@code .txt}, {@code .jsonl} and {@code .parquet} files of UTF-8, the
 * first two also compressed ({@code .gz}, {@code .zst}), streamed: no file is ever held
 * as a whole. A {@code .txt} file is a document, or several where
 * {@link Builder#documentStart} says so; its text is kept as it is, line ends included,
 * without a byte order mark. Empty documents are left out.
 * <p>
 * A row of a {@code .parquet} file is a document: its string in the column {@code text},
 * unless {@link Builder#parquetColumn} names another. Rows without one (null) are left
 * out, and logged with their number. A file without rows has no documents. A nested
 * column, and one of anything but strings, is refused. Dictionaries and plain pages are
 * read, of both versions, and Snappy, Zstandard and gzip.
 * <p>
 * A line of a {@code .jsonl} file is a JSON object in one of three forms. Only what is
 * not given counts in the loss of a training:
 * <ul>
 * <li>a text in one field, {@code text} unless {@link Builder#jsonField} names another;
 * where a line has it, its other fields mean nothing;</li>
 * <li>{@code prompt} and {@code completion}, each a string or a list of messages: the
 * prompt is given;</li>
 * <li>{@code messages}, a list of objects with the strings {@code role} and
 * {@code content}: each message whose role is {@code assistant} becomes a document of its
 * own, given the messages before it. {@link PlainChat} makes text of messages.</li>
 * </ul>
 */
public final class Corpus {

	private static final String PARQUET = ".parquet";

	private static final List<String> SUFFIXES = List.of(".txt", ".jsonl", PARQUET, ".txt.gz", ".jsonl.gz", ".txt.zst",
			".jsonl.zst");

	private static final int PIECE = 1 << 16;

	private static final int MAX_JSON_LINE = 64 << 20;

	private final List<Path> files;

	private final String jsonField;

	private final String parquetColumn;

	private final @Nullable Pattern documentStart;

	private Corpus(Builder builder) {
		this.files = builder.paths.stream().flatMap((path) -> files(path).stream()).toList();
		this.jsonField = builder.jsonField;
		this.parquetColumn = builder.parquetColumn;
		this.documentStart = builder.documentStart;
		if (this.files.isEmpty()) {
			throw new InvalidInputException("corpus", "no path is given", "name a file or a directory of text");
		}
	}

	/**
	 * A corpus of files, and of directories of them, with the default options.
	 * @param paths files, or directories: their files in all depths, sorted by name,
	 * hidden ones (of a name that begins with a dot, or below such a directory) and those
	 * with another suffix ignored
	 * @return the corpus
	 * @throws InvalidInputException if a path is missing, a file has another suffix, or a
	 * directory has no file of text
	 */
	public static Corpus of(Path... paths) {
		return of((corpus) -> corpus.paths(paths));
	}

	/**
	 * The same, for paths that are in a list.
	 * @param paths files or directories
	 * @return the corpus
	 */
	public static Corpus of(List<Path> paths) {
		return of((corpus) -> corpus.paths(paths));
	}

	/**
	 * A corpus with options, for example
	 * {@code Corpus.of(c -> c.paths(file).jsonField("body"))}.
	 * @param options sets the options
	 * @return the corpus
	 * @throws InvalidInputException if a path is missing, a file has another suffix, or a
	 * directory has no file of text
	 */
	public static Corpus of(Consumer<Builder> options) {
		Builder builder = new Builder();
		options.accept(builder);
		return new Corpus(builder);
	}

	/**
	 * The documents, in pieces, read while the stream is consumed. To be closed, which
	 * closes the file that is open:
	 * {@code try (Stream<TextPiece> pieces = corpus.pieces())}. Consuming it throws
	 * {@link InvalidInputException}, with the file and line, for text that is not UTF-8,
	 * a broken compressed or Parquet file, a broken JSON line or one of more than 64 MiB,
	 * a missing field or one of another type, and for a corpus without any text.
	 * @return the pieces, those of one document in a row
	 */
	public Stream<TextPiece> pieces() {
		Reading reading = read();
		int traits = Spliterator.ORDERED | Spliterator.NONNULL | Spliterator.IMMUTABLE;
		return StreamSupport.stream(Spliterators.spliteratorUnknownSize(reading, traits), false)
			.onClose(reading::close);
	}

	/** One pass over the files, to be closed. */
	Reading read() {
		return read(CorpusObserver.STRICT);
	}

	/** The same, told to an observer. */
	Reading read(CorpusObserver observer) {
		return new Reading(observer);
	}

	/**
	 * The size of all its files.
	 * @return their bytes, as they are stored
	 * @throws InvalidInputException if a file is missing meanwhile
	 */
	public long bytes() {
		long bytes = 0;
		for (Path file : this.files) {
			try {
				bytes += Files.size(file);
			}
			catch (IOException ex) {
				throw new InvalidInputException(file.toString(), "cannot be read (" + ex + ")",
						"check the file and its permissions", ex);
			}
		}
		return bytes;
	}

	/** The files, in the order in which they are read. */
	List<Path> files() {
		return this.files;
	}

	/**
	 * Names the text and how it is read: the same for files of the same content and
	 * suffix in the same order, wherever they lie.
	 * @return a digest
	 * @throws InvalidInputException if a file cannot be read
	 */
	byte[] digest() {
		MessageDigest digest = ContentDigest.sha256();
		update(digest, this.jsonField);
		update(digest, this.parquetColumn);
		update(digest, (this.documentStart != null) ? this.documentStart.pattern() : "");
		for (Path file : this.files) {
			update(digest, suffix(file));
			try (FileChannel channel = FileChannel.open(file)) {
				digest.update(ContentDigest.of(new byte[0], channel, 0));
			}
			catch (IOException ex) {
				throw new InvalidInputException(file.toString(), "cannot be read (" + ex + ")",
						"check the file and its permissions", ex);
			}
		}
		return digest.digest();
	}

	private static void update(MessageDigest digest, String text) {
		byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
		digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(bytes.length).flip());
		digest.update(bytes);
	}

	private static String suffix(Path file) {
		return SUFFIXES.stream().filter(file.toString()::endsWith).findFirst().orElseThrow();
	}

	private static List<Path> files(Path path) {
		if (!Files.exists(path)) {
			throw new InvalidInputException(path.toString(), "there is no such file or directory",
					"name a file or a directory of text");
		}
		if (!Files.isDirectory(path)) {
			if (isText(path)) {
				return List.of(path);
			}
			throw new InvalidInputException(path.toString(), "is not a file of a known type",
					"give it one of the suffixes " + String.join(", ", SUFFIXES));
		}
		try (Stream<Path> walk = Files.walk(path, FileVisitOption.FOLLOW_LINKS)) {
			List<Path> files = walk
				.filter((file) -> isText(file) && !isHidden(path.relativize(file)) && Files.isRegularFile(file))
				.sorted()
				.toList();
			if (files.isEmpty()) {
				throw new InvalidInputException(path.toString(), "has no file of text in it",
						"give a directory with files ending with one of " + String.join(", ", SUFFIXES));
			}
			return files;
		}
		catch (IOException | UncheckedIOException ex) {
			throw new InvalidInputException(path.toString(), "cannot be listed (" + ex.getMessage() + ")",
					"check the directory, its permissions and its links", ex);
		}
	}

	/** As editors and archives leave them, such as {@code .ipynb_checkpoints}. */
	private static boolean isHidden(Path below) {
		for (Path name : below) {
			if (name.toString().startsWith(".")) {
				return true;
			}
		}
		return false;
	}

	private static boolean isText(Path file) {
		return SUFFIXES.stream().anyMatch(file.toString()::endsWith);
	}

	/** Options of a corpus. */
	public static final class Builder {

		private final List<Path> paths = new ArrayList<>();

		private String jsonField = "text";

		private String parquetColumn = "text";

		private @Nullable Pattern documentStart;

		private Builder() {
		}

		/**
		 * Adds files, or directories of files.
		 * @param paths read in this order
		 * @return this
		 */
		public Builder paths(Path... paths) {
			return paths(List.of(paths));
		}

		/**
		 * The same, for paths that are in a list.
		 * @param paths files or directories
		 * @return this
		 */
		public Builder paths(List<Path> paths) {
			this.paths.addAll(paths);
			return this;
		}

		/**
		 * The field of a JSON line that holds plain text. Default: {@code text}.
		 * @param jsonField its name
		 * @return this
		 */
		public Builder jsonField(String jsonField) {
			this.jsonField = jsonField;
			return this;
		}

		/**
		 * The column of a Parquet file that holds the text. Default: {@code text}.
		 * @param parquetColumn its name
		 * @return this
		 */
		public Builder parquetColumn(String parquetColumn) {
			this.parquetColumn = parquetColumn;
			return this;
		}

		/**
		 * Divides {@code .txt} files into documents: a line that matches as a whole,
		 * without its line end, is the first of a document. Default: every file is one
		 * document.
		 * @param regex a regular expression, for example {@code " = [^=].* = "} for the
		 * titles of WikiText
		 * @return this
		 * @throws InvalidInputException if it is no regular expression
		 */
		public Builder documentStart(String regex) {
			try {
				this.documentStart = Pattern.compile(regex);
			}
			catch (PatternSyntaxException ex) {
				throw new InvalidInputException("documentStart",
						"is not a regular expression (" + ex.getDescription() + ")", "correct it", ex);
			}
			return this;
		}

	}

	/** One pass over the files. */
	final class Reading implements Iterator<TextPiece>, AutoCloseable {

		private final CorpusObserver observer;

		private final Iterator<Path> rest = Corpus.this.files.iterator();

		private final Queue<TextPiece> ready = new ArrayDeque<>();

		/** What has been read of the current document and not been put out. */
		private final StringBuilder pending = new StringBuilder();

		/** The open file, if it is one of lines. */
		private @Nullable Lines lines;

		/** The open file, if it is not. */
		private @Nullable ParquetColumn column;

		private boolean json;

		private boolean anyText;

		private long bytesBefore;

		private Reading(CorpusObserver observer) {
			this.observer = observer;
		}

		@Override
		public boolean hasNext() {
			while (this.ready.isEmpty()) {
				if (this.lines == null && this.column == null && !this.rest.hasNext()) {
					if (!this.anyText) {
						this.observer.onFault(new InvalidInputException(Corpus.this.files.get(0).toString(),
								"there is no text in it, nor in any other file of the corpus",
								"give a corpus with text"));
					}
					return false;
				}
				try {
					readOn();
				}
				catch (InvalidInputException ex) {
					putOut(true);
					closeFile();
					this.observer.onFault(ex);
				}
				catch (RuntimeException ex) {
					closeFile();
					throw ex;
				}
			}
			return true;
		}

		@Override
		public TextPiece next() {
			if (!hasNext()) {
				throw new NoSuchElementException();
			}
			return this.ready.remove();
		}

		private void readOn() {
			if (this.lines == null && this.column == null) {
				open(this.rest.next());
			}
			if (this.lines != null) {
				readLine(this.lines);
			}
			else if (this.column != null) {
				readRow(this.column);
			}
		}

		private void open(Path file) {
			if (file.toString().endsWith(PARQUET)) {
				this.column = new ParquetColumn(file, Corpus.this.parquetColumn);
			}
			else {
				this.json = file.toString().matches("(?s).*\\.jsonl(\\.gz|\\.zst)?");
				this.lines = new Lines(file, this.json ? MAX_JSON_LINE : PIECE, this.observer);
			}
		}

		private void readRow(ParquetColumn column) {
			String text = column.next();
			if (text != null) {
				addDocument(text);
				return;
			}
			closeFile();
		}

		private void readLine(Lines lines) {
			boolean startsLine = !lines.midLine();
			String line = lines.next();
			if (line == null) {
				putOut(true);
				closeFile();
			}
			else if (!this.json) {
				addLine(line, startsLine);
			}
			else if (lines.midLine()) {
				throw lines.invalid("is longer than " + (MAX_JSON_LINE >> 20) + " MiB",
						"divide the document into several lines", null);
			}
			else if (!line.isBlank()) {
				documents(line, lines).forEach(this::addDocument);
			}
		}

		private List<TextPiece> documents(String line, Lines lines) {
			try {
				return JsonLine.documents(line, Corpus.this.jsonField, lines);
			}
			catch (InvalidInputException ex) {
				this.observer.onFault(ex);
				return List.of();
			}
		}

		private void addLine(String line, boolean startsLine) {
			Pattern documentStart = Corpus.this.documentStart;
			if (documentStart != null && startsLine && documentStart.matcher(withoutEnd(line)).matches()) {
				putOut(true);
			}
			else if (this.pending.length() + line.length() > PIECE) {
				putOut(false);
			}
			this.pending.append(line);
		}

		private void addDocument(TextPiece document) {
			if (document.prompt() == null) {
				addDocument(document.text());
			}
			else if (!document.whole().isEmpty()) {
				this.ready.add(document);
				this.anyText = true;
			}
		}

		private void addDocument(String text) {
			int from = 0;
			while (text.length() - from > PIECE) {
				int lineEnd = text.substring(from, from + PIECE).lastIndexOf('\n') + 1;
				int to = from + ((lineEnd > 0) ? lineEnd : PIECE);
				if (Character.isHighSurrogate(text.charAt(to - 1)) && Character.isLowSurrogate(text.charAt(to))) {
					to--;
				}
				this.pending.append(text, from, to);
				putOut(false);
				from = to;
			}
			this.pending.append(text, from, text.length());
			putOut(true);
		}

		private void putOut(boolean endsDocument) {
			if (!this.pending.isEmpty()) {
				this.ready.add(new TextPiece(this.pending.toString(), endsDocument));
				this.pending.setLength(0);
				this.anyText = true;
			}
		}

		/** How much has been read of the files, which may be compressed. */
		long bytes() {
			return this.bytesBefore + openBytes();
		}

		private long openBytes() {
			if (this.lines != null) {
				return this.lines.bytes();
			}
			return (this.column != null) ? this.column.bytes() : 0;
		}

		@Override
		public void close() {
			closeFile();
		}

		private void closeFile() {
			this.bytesBefore += openBytes();
			if (this.lines != null) {
				this.lines.close();
				this.lines = null;
			}
			if (this.column != null) {
				this.column.close();
				this.column = null;
			}
		}

		private static String withoutEnd(String line) {
			int end = line.length();
			if (end > 0 && line.charAt(end - 1) == '\n') {
				end--;
			}
			if (end > 0 && line.charAt(end - 1) == '\r') {
				end--;
			}
			return line.substring(0, end);
		}

	}

}

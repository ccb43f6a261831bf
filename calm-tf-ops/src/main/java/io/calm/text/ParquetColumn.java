package io.calm.text;

import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.zip.GZIPInputStream;

import io.calm.input.InvalidInputException;
import org.apache.parquet.format.ColumnChunk;
import org.apache.parquet.format.ColumnMetaData;
import org.apache.parquet.format.CompressionCodec;
import org.apache.parquet.format.ConvertedType;
import org.apache.parquet.format.DataPageHeader;
import org.apache.parquet.format.DataPageHeaderV2;
import org.apache.parquet.format.Encoding;
import org.apache.parquet.format.FieldRepetitionType;
import org.apache.parquet.format.FileMetaData;
import org.apache.parquet.format.PageHeader;
import org.apache.parquet.format.RowGroup;
import org.apache.parquet.format.SchemaElement;
import org.apache.parquet.format.Type;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.xerial.snappy.Snappy;
import shaded.parquet.org.apache.thrift.TConfiguration;
import shaded.parquet.org.apache.thrift.TException;
import shaded.parquet.org.apache.thrift.protocol.TCompactProtocol;
import shaded.parquet.org.apache.thrift.protocol.TProtocol;
import shaded.parquet.org.apache.thrift.transport.TIOStreamTransport;

/**
 * The texts in one column of a Parquet file, page after page. Headers are read with
 * Parquet's own library. Pages are not, for that needs Hadoop and takes the memory that a
 * file asks for; here each size is checked first.
 * <p>
 * Reads columns of strings that are not nested, with or without a dictionary, in pages of
 * both versions, plain or compressed with Snappy, Zstandard or gzip.
 */
final class ParquetColumn implements Closeable {

	private static final Logger LOG = LoggerFactory.getLogger(ParquetColumn.class);

	/** Before the data, and after the length of the footer. */
	private static final int MAGIC = 0x31524150;

	/** The length of the footer and the magic number. */
	private static final int END = 8;

	private static final int MOST_FOOTER = 32 << 20;

	/** A header may hold the least and the largest text of its page. */
	private static final int MOST_HEADER = 16 << 20;

	private static final int MOST_PAGE = 128 << 20;

	/** Snappy copies 64 bytes at most for the 3 that say so. */
	private static final int MOST_SNAPPY_RATIO = 32;

	private final Path file;

	private final String column;

	private final FileChannel channel;

	private final long rows;

	/** Whether a row may lack the text. */
	private final boolean optional;

	private final Iterator<ColumnMetaData> chunks;

	private @Nullable Chunk chunk;

	private long row;

	private long nulls;

	/**
	 * Opens a file.
	 * @param file the file
	 * @param column the name of the column
	 */
	ParquetColumn(Path file, String column) {
		this.file = file;
		this.column = column;
		FileChannel channel = null;
		try {
			channel = FileChannel.open(file);
			this.channel = channel;
			FileMetaData footer = footer();
			this.optional = optional(there(footer.getSchema()));
			this.rows = footer.getNum_rows();
			List<ColumnMetaData> chunks = new ArrayList<>();
			for (RowGroup group : there(footer.getRow_groups())) {
				ColumnMetaData chunk = chunk(group);
				if (chunk.getNum_values() != 0) {
					chunks.add(chunk);
				}
			}
			this.chunks = chunks.iterator();
		}
		catch (IOException | TException | RuntimeException ex) {
			close(channel);
			throw (ex instanceof InvalidInputException invalid) ? invalid : broken(ex);
		}
	}

	/**
	 * The next text; rows without one are skipped.
	 * @return the text, null at the end of the file
	 */
	@Nullable String next() {
		try {
			while (true) {
				Chunk chunk = this.chunk;
				if (chunk == null) {
					if (!this.chunks.hasNext()) {
						if (this.nulls > 0) {
							LOG.warn("{}: {} of {} rows have no text and are left out", this.file, this.nulls,
									this.row);
						}
						return null;
					}
					this.chunk = new Chunk(this.chunks.next());
				}
				else if (chunk.left == 0) {
					this.chunk = null;
				}
				else {
					this.row++;
					String text = chunk.next();
					if (text != null) {
						return text;
					}
					this.nulls++;
				}
			}
		}
		catch (IOException | TException | RuntimeException ex) {
			throw (ex instanceof InvalidInputException invalid) ? invalid : broken(ex);
		}
	}

	/** The share of the file that has been read, in bytes. */
	long bytes() {
		try {
			return (this.row >= this.rows) ? this.channel.size()
					: (long) ((double) this.row / this.rows * this.channel.size());
		}
		catch (IOException ex) {
			return 0;
		}
	}

	@Override
	public void close() {
		close(this.channel);
	}

	private FileMetaData footer() throws IOException, TException {
		long size = this.channel.size();
		if (size < Integer.BYTES + END) {
			throw new EOFException("it is too short");
		}
		ByteBuffer end = read(size - END, END);
		int length = end.getInt();
		if (end.getInt() != MAGIC) {
			throw new IOException("it does not end as Parquet files do");
		}
		if (length < 0 || length > Math.min(MOST_FOOTER, size - Integer.BYTES - END)) {
			throw new IOException("its footer has " + length + " bytes");
		}
		FileMetaData footer = new FileMetaData();
		footer.read(protocol(new ByteArrayInputStream(read(size - END - length, length).array()), length));
		return footer;
	}

	/** Takes no more memory for a list or text than the header could hold. */
	private static TProtocol protocol(InputStream in, int most) throws TException {
		return new TCompactProtocol(new TIOStreamTransport(
				new TConfiguration(most, TConfiguration.DEFAULT_MAX_FRAME_SIZE, TConfiguration.DEFAULT_RECURSION_DEPTH),
				in));
	}

	/** Finds the column among those at the top. */
	private boolean optional(List<SchemaElement> schema) throws IOException {
		List<String> names = new ArrayList<>();
		for (int at = 1; at < schema.size(); at = behind(schema, at)) {
			SchemaElement element = schema.get(at);
			String name = there(element.getName());
			if (!name.equals(this.column)) {
				names.add(name);
				continue;
			}
			if (element.getNum_children() > 0 || element.getRepetition_type() == FieldRepetitionType.REPEATED) {
				throw invalid("is a nested column", "name a column of plain strings");
			}
			boolean string = element.getConverted_type() == ConvertedType.UTF8
					|| element.getLogicalType() != null && element.getLogicalType().isSetSTRING();
			if (element.getType() != Type.BYTE_ARRAY || !string) {
				throw invalid("holds no strings but " + element.getType(), "name a column of strings");
			}
			return element.getRepetition_type() == FieldRepetitionType.OPTIONAL;
		}
		throw new InvalidInputException(this.file.toString(), "has no column \"" + this.column + "\"",
				"set parquetColumn to the one that holds the text" + (names.isEmpty() ? ""
						: "; there are " + shown(String.join(", ", names.subList(0, Math.min(10, names.size()))))));
	}

	private static String shown(String names) {
		return (names.length() <= 200) ? names : names.substring(0, 200) + "…";
	}

	private static int behind(List<SchemaElement> schema, int at) {
		int end = at;
		for (int open = 1; open > 0; open--) {
			open += Math.max(0, schema.get(end++).getNum_children());
		}
		return end;
	}

	private ColumnMetaData chunk(RowGroup group) throws IOException {
		for (ColumnChunk chunk : there(group.getColumns())) {
			ColumnMetaData data = chunk.getMeta_data();
			if (chunk.isSetCrypto_metadata() || data == null) {
				throw invalid("is encrypted", "decrypt the file");
			}
			if (List.of(this.column).equals(data.getPath_in_schema())) {
				if (chunk.isSetFile_path()) {
					throw invalid("lies in another file", "give that file");
				}
				return data;
			}
		}
		throw new IOException("it has rows without the column");
	}

	/** A header without a part that Parquet demands has been damaged. */
	private static <T> T there(@Nullable T part) throws IOException {
		if (part == null) {
			throw new IOException("a header is incomplete");
		}
		return part;
	}

	private ByteBuffer read(long at, int length) throws IOException {
		ByteBuffer buffer = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
		while (buffer.hasRemaining()) {
			if (this.channel.read(buffer, at + buffer.position()) < 0) {
				throw new EOFException("it is cut short");
			}
		}
		return buffer.flip();
	}

	private InvalidInputException invalid(String problem, String action) {
		return new InvalidInputException(this.file + ", column \"" + this.column + "\"", problem, action);
	}

	private InvalidInputException broken(Exception ex) {
		boolean telling = ex instanceof IOException && ex.getMessage() != null;
		String how = telling ? ex.getMessage() : "it is damaged";
		return new InvalidInputException(this.file + ((this.row > 0) ? ", row " + this.row : ""),
				"cannot be read (" + how + ")", "check the file, which must be a complete Parquet file", ex);
	}

	private static void close(@Nullable Closeable closed) {
		try {
			if (closed != null) {
				closed.close();
			}
		}
		catch (IOException ex) {
			// it was read only: nothing can be lost
		}
	}

	/** The column in one group of rows. */
	private final class Chunk {

		private final CompressionCodec codec;

		private final InputStream in;

		/** Bytes of pages that have not been read. */
		private long bytes;

		/** Values that have not been read. */
		private long left;

		private String[] dictionary = new String[0];

		private int leftInPage;

		/** 1 where there is a text, 0 where there is none; null where all have one. */
		private @Nullable PackedNumbers present;

		/** Indices into the dictionary; null where the texts themselves follow. */
		private @Nullable PackedNumbers indices;

		private ByteBuffer texts = ByteBuffer.allocate(0);

		Chunk(ColumnMetaData data) throws IOException {
			this.codec = there(data.getCodec());
			this.bytes = data.getTotal_compressed_size();
			this.left = data.getNum_values();
			long from = (data.isSetDictionary_page_offset() && data.getDictionary_page_offset() > 0)
					? Math.min(data.getDictionary_page_offset(), data.getData_page_offset())
					: data.getData_page_offset();
			if (from < Integer.BYTES || this.bytes < 0 || this.bytes > ParquetColumn.this.channel.size() - from
					|| this.left < 0) {
				throw new IOException("a column lies outside of it");
			}
			ParquetColumn.this.channel.position(from);
			this.in = new BufferedInputStream(Channels.newInputStream(ParquetColumn.this.channel), 1 << 16);
		}

		@Nullable String next() throws IOException, TException {
			while (this.leftInPage == 0) {
				readPage();
			}
			this.leftInPage--;
			this.left--;
			if (this.present != null && this.present.next() == 0) {
				return null;
			}
			return (this.indices != null) ? this.dictionary[this.indices.next()] : text(this.texts);
		}

		private void readPage() throws IOException, TException {
			PageHeader header = new PageHeader();
			header.read(protocol(this.in, MOST_HEADER));
			int compressed = header.getCompressed_page_size();
			int size = header.getUncompressed_page_size();
			if (compressed < 0 || size < 0 || compressed > this.bytes) {
				throw new IOException("a page lies outside of its column");
			}
			if (compressed > MOST_PAGE || size > MOST_PAGE) {
				throw invalid("has a page of more than " + (MOST_PAGE >> 20) + " MiB",
						"write the file with smaller pages");
			}
			this.bytes -= compressed;
			byte[] page = this.in.readNBytes(compressed);
			if (page.length < compressed) {
				throw new EOFException("it is cut short");
			}
			switch (there(header.getType())) {
				case DICTIONARY_PAGE ->
					readDictionary(plain(page, 0, size), there(header.getDictionary_page_header()).getNum_values());
				case DATA_PAGE -> {
					DataPageHeader data = there(header.getData_page_header());
					ByteBuffer content = plain(page, 0, size);
					if (ParquetColumn.this.optional) {
						requireRuns(data.getDefinition_level_encoding());
						this.present = new PackedNumbers(part(content, content.getInt()), 1);
					}
					begin(content, data.getNum_values(), data.getEncoding());
				}
				case DATA_PAGE_V2 -> {
					DataPageHeaderV2 data = there(header.getData_page_header_v2());
					int levels = Math.addExact(data.getRepetition_levels_byte_length(),
							data.getDefinition_levels_byte_length());
					ByteBuffer content = ByteBuffer.wrap(page).order(ByteOrder.LITTLE_ENDIAN);
					part(content, data.getRepetition_levels_byte_length());
					this.present = ParquetColumn.this.optional
							? new PackedNumbers(part(content, data.getDefinition_levels_byte_length()), 1) : null;
					content.position(levels);
					begin(data.isIs_compressed() ? plain(page, levels, Math.subtractExact(size, levels)) : content,
							data.getNum_values(), data.getEncoding());
				}
				default -> {
					// an index, which is not needed
				}
			}
		}

		private void begin(ByteBuffer content, int values, @Nullable Encoding encoding) throws IOException {
			if (values < 0 || values > this.left) {
				throw new IOException("a page has " + values + " values");
			}
			this.leftInPage = values;
			this.indices = null;
			if (encoding == Encoding.PLAIN) {
				this.texts = content;
			}
			else if (encoding == Encoding.RLE_DICTIONARY || encoding == Encoding.PLAIN_DICTIONARY) {
				// a page without any text may lack the width
				int width = content.hasRemaining() ? content.get() : 0;
				this.indices = new PackedNumbers(content, width);
			}
			else {
				throw invalid("is encoded as " + encoding + ", which is not read here",
						"write the file with dictionaries or with the encoding PLAIN");
			}
		}

		private void requireRuns(@Nullable Encoding levels) throws IOException {
			if (levels != Encoding.RLE) {
				throw new IOException("its levels are encoded as " + levels);
			}
		}

		private void readDictionary(ByteBuffer content, int values) throws IOException {
			if (values < 0 || values > content.remaining() / Integer.BYTES) {
				throw new IOException("a dictionary has " + values + " texts");
			}
			this.dictionary = new String[values];
			for (int i = 0; i < values; i++) {
				this.dictionary[i] = text(content);
			}
		}

		private String text(ByteBuffer content) {
			try {
				return StandardCharsets.UTF_8.newDecoder().decode(part(content, content.getInt())).toString();
			}
			catch (CharacterCodingException ex) {
				throw new InvalidInputException(ParquetColumn.this.file + ", row " + ParquetColumn.this.row,
						"is not UTF-8", "write the column as strings of UTF-8", ex);
			}
		}

		private static ByteBuffer part(ByteBuffer content, int length) {
			if (length < 0 || length > content.remaining()) {
				throw new BufferUnderflowException();
			}
			ByteBuffer part = content.slice(content.position(), length).order(ByteOrder.LITTLE_ENDIAN);
			content.position(content.position() + length);
			return part;
		}

		private ByteBuffer plain(byte[] page, int from, int size) throws IOException {
			int length = page.length - from;
			byte[] plain = switch (this.codec) {
				case UNCOMPRESSED -> Arrays.copyOfRange(page, from, page.length);
				case SNAPPY -> snappy(page, from, length, size);
				case ZSTD -> whole(new ZstdFrames(new ByteArrayInputStream(page, from, length)), size);
				case GZIP -> whole(new GZIPInputStream(new ByteArrayInputStream(page, from, length)), size);
				default -> throw invalid("is compressed with " + this.codec + ", which is not read here",
						"write the file with Snappy, Zstandard or gzip");
			};
			return ByteBuffer.wrap(plain).order(ByteOrder.LITTLE_ENDIAN);
		}

		/** Takes memory as it finds content. */
		private static byte[] whole(InputStream in, int size) throws IOException {
			try (in) {
				byte[] plain = in.readNBytes(size);
				if (plain.length < size || in.read() >= 0) {
					throw new IOException("a page has another size than it says");
				}
				return plain;
			}
		}

		private static byte[] snappy(byte[] page, int from, int length, int size) throws IOException {
			if (size > (long) MOST_SNAPPY_RATIO * length || Snappy.uncompressedLength(page, from, length) != size) {
				throw new IOException("a page has another size than it says");
			}
			byte[] plain = new byte[size];
			Snappy.uncompress(page, from, length, plain, 0);
			return plain;
		}

	}

}

package io.calm.text;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;

import com.github.luben.zstd.ZstdDecompressCtx;
import com.github.luben.zstd.ZstdException;

/**
 * What is in Zstandard frames, one after the other. The stream that zstd-jni has does not
 * notice when the last of several frames is cut short.
 */
final class ZstdFrames extends InputStream {

	private static final int BUFFER = 1 << 17;

	private final InputStream in;

	private final ZstdDecompressCtx context = new ZstdDecompressCtx();

	private final byte[] read = new byte[BUFFER];

	private final ByteBuffer packed = ByteBuffer.allocateDirect(BUFFER).limit(0);

	private final ByteBuffer plain = ByteBuffer.allocateDirect(BUFFER).limit(0);

	/** Whether a frame has ended and none has begun. */
	private boolean whole = true;

	ZstdFrames(InputStream in) {
		this.in = in;
	}

	@Override
	public int read() throws IOException {
		byte[] one = new byte[1];
		return (read(one, 0, 1) < 0) ? -1 : Byte.toUnsignedInt(one[0]);
	}

	@Override
	public int read(byte[] target, int offset, int length) throws IOException {
		if (length == 0) {
			return 0;
		}
		while (!this.plain.hasRemaining()) {
			boolean more = this.packed.hasRemaining() || fill();
			if (!more && this.whole) {
				return -1;
			}
			unpack();
			if (!more && !this.plain.hasRemaining() && !this.whole) {
				throw new EOFException("it is cut short");
			}
		}
		int count = Math.min(length, this.plain.remaining());
		this.plain.get(target, offset, count);
		return count;
	}

	private boolean fill() throws IOException {
		int count = this.in.read(this.read);
		this.packed.clear().put(this.read, 0, Math.max(count, 0)).flip();
		return count > 0;
	}

	private void unpack() throws IOException {
		this.plain.clear();
		try {
			this.whole = this.context.decompressDirectByteBufferStream(this.plain, this.packed);
		}
		catch (ZstdException ex) {
			this.plain.limit(0);
			// what zstd-jni says of it here is "No error detected"
			throw new IOException("it is damaged, or was packed with a window of more than 128 MiB", ex);
		}
		this.plain.flip();
	}

	@Override
	public void close() throws IOException {
		this.context.close();
		this.in.close();
	}

}

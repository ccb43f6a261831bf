package io.calm.text;

import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.stream.LongStream;

/**
 * A digest of a file that is computed on all cores: the SHA-256 of some bytes and of the
 * SHA-256 of each 8 MiB of the file, the last part shorter.
 */
final class ContentDigest {

	private static final int PART = 8 << 20;

	private static final int BUFFER = 1 << 16;

	private ContentDigest() {
	}

	/**
	 * The digest of a part of a file.
	 * @param before bytes that count as well
	 * @param channel of the file
	 * @param from its first byte that counts; all behind it do
	 * @return the digest, 32 bytes
	 */
	static byte[] of(byte[] before, FileChannel channel, long from) throws IOException {
		long length = Math.max(0, channel.size() - from);
		MessageDigest all = sha256();
		all.update(before);
		try {
			byte[][] parts = LongStream.range(0, (length + PART - 1) / PART)
				.parallel()
				.mapToObj((part) -> part(channel, from + part * PART, Math.min(PART, length - part * PART)))
				.toArray(byte[][]::new);
			for (byte[] part : parts) {
				all.update(part);
			}
		}
		catch (UncheckedIOException ex) {
			throw ex.getCause();
		}
		return all.digest();
	}

	private static byte[] part(FileChannel channel, long from, long length) {
		MessageDigest digest = sha256();
		ByteBuffer buffer = ByteBuffer.allocate(BUFFER);
		try {
			for (long at = 0; at < length;) {
				buffer.clear().limit((int) Math.min(BUFFER, length - at));
				int count = channel.read(buffer, from + at);
				if (count < 0) {
					throw new EOFException("it became shorter while it was read");
				}
				digest.update(buffer.array(), 0, count);
				at += count;
			}
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		return digest.digest();
	}

	static MessageDigest sha256() {
		try {
			return MessageDigest.getInstance("SHA-256");
		}
		catch (NoSuchAlgorithmException ex) {
			throw new IllegalStateException(ex);
		}
	}

}

package io.calm.hub;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * A file of a model as the hub lists it.
 *
 * @param path in the repository
 * @param size in bytes
 * @param digest SHA-256 of a large file, 64 digits; of others Git's SHA-1, 40 digits.
 * Also the name of its content in the cache
 */
record HubFile(String path, long size, String digest) {

	private static final int LARGE = 64;

	/** Whether a file is this one. */
	boolean is(Path file) throws IOException {
		return Files.size(file) == this.size && digestOf(file).equals(this.digest);
	}

	private String digestOf(Path file) throws IOException {
		MessageDigest digest = messageDigest();
		if (this.digest.length() != LARGE) {
			digest.update(("blob " + this.size + "\0").getBytes(StandardCharsets.US_ASCII));
		}
		try (InputStream in = Files.newInputStream(file)) {
			byte[] buffer = new byte[1 << 16];
			for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
				digest.update(buffer, 0, count);
			}
		}
		return HexFormat.of().formatHex(digest.digest());
	}

	private MessageDigest messageDigest() {
		try {
			return MessageDigest.getInstance((this.digest.length() == LARGE) ? "SHA-256" : "SHA-1");
		}
		catch (NoSuchAlgorithmException ex) {
			throw new IllegalStateException(ex);
		}
	}

}

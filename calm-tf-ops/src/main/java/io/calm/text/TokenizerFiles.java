package io.calm.text;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.List;

import io.calm.input.InvalidInputException;

/**
 * The two files a tokenizer is stored in, kept as the bytes they were read from: what is
 * saved is what was opened.
 *
 * @param tokenizer the content of {@code tokenizer.json}
 * @param config the content of {@code tokenizer_config.json}
 */
record TokenizerFiles(byte[] tokenizer, byte[] config) {

	static final String TOKENIZER = "tokenizer.json";

	static final String CONFIG = "tokenizer_config.json";

	void save(Path directory) {
		try {
			Files.createDirectories(directory);
			Files.write(directory.resolve(TOKENIZER), this.tokenizer);
			Files.write(directory.resolve(CONFIG), this.config);
		}
		catch (IOException ex) {
			throw new InvalidInputException(directory.toString(), "the tokenizer cannot be written to it (" + ex + ")",
					"name a directory that can be written", ex);
		}
	}

	/** Names a tokenizer, by the files that it saves. */
	static byte[] digest(Tokenizer tokenizer) {
		try {
			Path directory = Files.createTempDirectory("calm-tokenizer");
			MessageDigest digest = ContentDigest.sha256();
			try {
				tokenizer.save(directory);
				for (String name : List.of(TOKENIZER, CONFIG)) {
					digest.update(ContentDigest.sha256().digest(Files.readAllBytes(directory.resolve(name))));
				}
			}
			finally {
				for (String name : List.of(TOKENIZER, CONFIG)) {
					Files.deleteIfExists(directory.resolve(name));
				}
				Files.delete(directory);
			}
			return digest.digest();
		}
		catch (IOException ex) {
			throw new InvalidInputException(System.getProperty("java.io.tmpdir"),
					"the tokenizer cannot be written there (" + ex + ")",
					"free space there, or name another directory with -Djava.io.tmpdir=DIR", ex);
		}
	}

}

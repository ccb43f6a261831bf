package io.calm.mlflow;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.CompletedPart;

/**
 * Artifacts in a bucket. A file appears when it is complete.
 */
final class S3Artifacts implements ArtifactStore {

	/** Larger files are sent in parts, each of which is in memory while it is sent. */
	static final int PART = 8 << 20;

	private static final int MOST_PARTS = 10_000;

	private static final String BINARY = "application/octet-stream";

	private final URI server;

	private final S3Client client;

	private final String root;

	private final String bucket;

	private final String prefix;

	private final int part;

	S3Artifacts(URI server, S3Client client, String root, int part) {
		this.server = server;
		this.client = client;
		this.root = root;
		String[] names = root.substring("s3://".length()).split("/", 2);
		this.bucket = names[0];
		this.prefix = (names.length > 1 && !names[1].isEmpty()) ? names[1].replaceFirst("/*$", "/") : "";
		this.part = part;
	}

	@Override
	public void upload(String path, Path file) {
		String key = this.prefix + path;
		call(() -> {
			long size = Files.size(file);
			if (size > this.part) {
				uploadParts(key, file, size);
			}
			else {
				this.client.putObject((put) -> put.bucket(this.bucket).key(key).contentType(BINARY),
						RequestBody.fromFile(file));
			}
			return key;
		});
	}

	private void uploadParts(String key, Path file, long size) throws IOException {
		int length = Math.toIntExact(Math.max(this.part, (size + MOST_PARTS - 1) / MOST_PARTS));
		String upload = this.client
			.createMultipartUpload((create) -> create.bucket(this.bucket).key(key).contentType(BINARY))
			.uploadId();
		List<CompletedPart> parts = new ArrayList<>();
		boolean complete = false;
		try (InputStream in = Files.newInputStream(file)) {
			for (byte[] bytes = in.readNBytes(length); bytes.length > 0; bytes = in.readNBytes(length)) {
				byte[] sent = bytes;
				int number = parts.size() + 1;
				String tag = this.client
					.uploadPart((part) -> part.bucket(this.bucket).key(key).uploadId(upload).partNumber(number),
							RequestBody.fromContentProvider(() -> new ByteArrayInputStream(sent), sent.length, BINARY))
					.eTag();
				parts.add(CompletedPart.builder().partNumber(number).eTag(tag).build());
			}
			this.client.completeMultipartUpload((end) -> end.bucket(this.bucket)
				.key(key)
				.uploadId(upload)
				.multipartUpload((all) -> all.parts(parts)));
			complete = true;
		}
		finally {
			if (!complete) {
				abort(key, upload);
			}
		}
	}

	/** Otherwise the parts would stay, and be paid for. */
	private void abort(String key, String upload) {
		try {
			this.client.abortMultipartUpload((abort) -> abort.bucket(this.bucket).key(key).uploadId(upload));
		}
		catch (AwsServiceException | SdkClientException ex) {
			// what failed before is what the caller has to know
		}
	}

	@Override
	public void upload(String path, String text) {
		call(() -> this.client.putObject(
				(put) -> put.bucket(this.bucket).key(this.prefix + path).contentType("text/plain; charset=utf-8"),
				RequestBody.fromString(text)));
	}

	@Override
	public String download(String path) {
		return call(() -> {
			try (InputStream in = this.client.getObject((get) -> get.bucket(this.bucket).key(this.prefix + path))) {
				return new String(in.readNBytes(LONGEST_TEXT + 1), StandardCharsets.UTF_8);
			}
		});
	}

	@Override
	public void download(String path, long size, Path file) {
		call(() -> this.client.getObject((get) -> get.bucket(this.bucket).key(this.prefix + path), file));
	}

	/** What may fail. */
	@FunctionalInterface
	private interface Work<T> {

		T done() throws IOException;

	}

	private <T> T call(Work<T> work) {
		try {
			return work.done();
		}
		catch (AwsServiceException ex) {
			throw answered(ex);
		}
		catch (SdkClientException ex) {
			Throwable cause = (ex.getCause() != null) ? ex.getCause() : ex;
			throw failure(MlflowException.NO_ANSWER,
					"which cannot be reached (" + cause.getClass().getSimpleName() + ")",
					"start the store, or check the address, proxies and firewalls", ex);
		}
		catch (IOException ex) {
			throw failure(MlflowException.NO_ANSWER, "and a file of this machine cannot be used (" + ex + ")",
					"check its permissions and the free space", ex);
		}
	}

	private MlflowException answered(AwsServiceException ex) {
		AwsErrorDetails details = ex.awsErrorDetails();
		String code = (details != null) ? String.valueOf(details.errorCode()) : "";
		String problem = "which answers " + ex.statusCode() + (code.isEmpty() ? "" : " (" + code + ")");
		return switch (ex.statusCode()) {
			case MlflowException.NOT_FOUND ->
				code.equals("NoSuchBucket") ? failure(MlflowException.REFUSED, problem, "create the bucket", ex)
						: failure(MlflowException.NOT_FOUND, problem, "check the name", ex);
			case 408, 429, 500, 502, 503, 504 ->
				failure(ex.statusCode(), problem, "try again later, or look into the store's log", ex);
			// whatever else waits for the server need not wait until somebody has mended
			// this
			default -> failure(MlflowException.REFUSED, problem,
					"check the bucket, the region and what the credentials allow", ex);
		};
	}

	private MlflowException failure(int status, String problem, String action, Exception cause) {
		return MlflowException.ofArtifacts(this.server, status,
				"has its artifacts at " + MlflowConnection.maskAddresses(this.root) + ", " + problem, action, cause);
	}

}

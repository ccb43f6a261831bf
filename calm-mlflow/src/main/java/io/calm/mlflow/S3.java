package io.calm.mlflow;

import java.net.URI;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3ClientBuilder;

/**
 * S3, or what speaks its protocol. Address, region and credentials are those of AWS's own
 * tools and of MLflow's Python client.
 */
final class S3 {

	private final URI server;

	private final S3Client client;

	private S3(URI server, S3Client client) {
		this.server = server;
		this.client = client;
	}

	/**
	 * Connects as the environment says.
	 * @throws MlflowException if it has no credentials or no region
	 */
	static S3 open(MlflowConnection connection) {
		Map<String, String> environment = connection.environment();
		String endpoint = first(environment, "MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
		String region = first(environment, "AWS_REGION", "AWS_DEFAULT_REGION");
		String style = first(environment, "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE");
		S3ClientBuilder builder = S3Client.builder()
			.httpClientBuilder(UrlConnectionHttpClient.builder()
				.connectionTimeout(connection.timeout())
				.socketTimeout(connection.timeout()))
			.credentialsProvider(credentials(connection.trackingUri()))
			// others than AWS do not know the newer checksums; models have sums of their
			// own
			.requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
			.responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED)
			.crossRegionAccessEnabled(endpoint == null)
			// others than AWS have no host name for each bucket
			.forcePathStyle((style != null) ? style.equals("path") : endpoint != null);
		try {
			if (endpoint != null) {
				builder.endpointOverride(URI.create(endpoint)).region(Region.US_EAST_1);
			}
			if (region != null) {
				builder.region(Region.of(region));
			}
			return new S3(connection.trackingUri(), builder.build());
		}
		catch (SdkClientException | IllegalArgumentException | NullPointerException ex) {
			throw MlflowException.ofArtifacts(connection.trackingUri(), MlflowException.REFUSED,
					"has its artifacts at s3://, whose region or address is not known",
					"set AWS_REGION, and for another store than AWS also MLFLOW_S3_ENDPOINT_URL, such as "
							+ "http://localhost:9000",
					ex);
		}
	}

	private static AwsCredentialsProvider credentials(URI server) {
		try {
			AwsCredentialsProvider chain = DefaultCredentialsProvider.builder().build();
			chain.resolveCredentials();
			return chain;
		}
		catch (SdkClientException ex) {
			throw MlflowException.ofArtifacts(server, MlflowException.REFUSED,
					"has its artifacts at s3://, for which this machine has no credentials",
					"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role", ex);
		}
	}

	private static @Nullable String first(Map<String, String> environment, String... names) {
		return Stream.of(names)
			.map((name) -> MlflowConnection.filled(environment.get(name)))
			.filter(Objects::nonNull)
			.findFirst()
			.orElse(null);
	}

	/** The artifacts of a run. */
	ArtifactStore artifacts(String root) {
		return new S3Artifacts(this.server, this.client, root, S3Artifacts.PART);
	}

}

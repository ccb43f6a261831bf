package io.calm.mlflow;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.stream.Collectors;

import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowOptions.Checkpoints;
import io.calm.training.Sample;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mlflow.api.proto.Service.CreateExperiment;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.tracking.MlflowClient;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assumptions.assumeThat;

/**
 * Artifacts that go to other places than the server's proxy: a real server, and one that
 * speaks the protocol of S3.
 */
@ExtendWith(MlflowServer.class)
class ArtifactStoresTest {

	private static final String SECRET = "s3cret-of-the-tests";

	private static final Map<String, String> PROPERTIES = Map.of("aws.accessKeyId", "tests", "aws.secretAccessKey",
			SECRET, "aws.disableEc2Metadata", "true", "aws.configFile", "none", "aws.sharedCredentialsFile", "none");

	private static final String BUCKET = "models";

	private static MotoServer moto;

	private static S3Client client;

	private final URI server;

	private final Path directory;

	ArtifactStoresTest(URI server, @TempDir Path directory) {
		this.server = server;
		this.directory = directory;
	}

	@BeforeAll
	static void startMoto(@TempDir Path directory) throws IOException, InterruptedException {
		moto = MotoServer.start(directory);
		PROPERTIES.forEach(System::setProperty);
		client = S3Client.builder()
			.endpointOverride(URI.create(moto.uri()))
			.region(Region.US_EAST_1)
			.forcePathStyle(true)
			.credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("tests", SECRET)))
			.httpClient(UrlConnectionHttpClient.create())
			.build();
		client.createBucket((create) -> create.bucket(BUCKET));
	}

	@AfterAll
	static void stopMoto() {
		PROPERTIES.keySet().forEach(System::clearProperty);
		if (moto != null) {
			client.close();
			moto.close();
		}
	}

	private MlflowConnection connection(Map<String, String> environment) {
		return new MlflowConnection.Builder(environment).trackingUri(this.server.toString())
			.timeout(Duration.ofSeconds(10))
			.build()
			.orElseThrow();
	}

	private MlflowConnection connection() {
		return connection(Map.of("MLFLOW_S3_ENDPOINT_URL", moto.uri()));
	}

	/** The name of a new experiment whose runs have their artifacts there. */
	private String experiment(String location) {
		String name = "stores-" + UUID.randomUUID();
		new MlflowApi(connection()).post("experiments/create",
				CreateExperiment.newBuilder().setName(name).setArtifactLocation(location),
				CreateExperiment.Response.newBuilder());
		return name;
	}

	private String location(String kind) throws IOException {
		return switch (kind) {
			case "s3" -> "s3://" + BUCKET + "/" + UUID.randomUUID();
			case "file" -> Files.createDirectory(this.directory.resolve("artifacts")).toUri().toString();
			default -> Files.createDirectory(this.directory.resolve("artifacts")).toString();
		};
	}

	private Path model() throws IOException {
		Path model = Files.createDirectories(this.directory.resolve("model"));
		for (Path part : List.of(model, Files.createDirectories(model.resolve("autoencoder")))) {
			Files.writeString(part.resolve("config.json"), "{}");
			Files.writeString(part.resolve("model.safetensors"), "weights");
		}
		Files.writeString(model.resolve("m\u00e4rchen (1) +x,y~.txt"), "");
		return model;
	}

	@ParameterizedTest
	@ValueSource(strings = { "s3", "file", "path" })
	void modelsGoThereAndBack(String kind) throws IOException {
		String experiment = experiment(location(kind));
		MlflowRegistry registry = MlflowRegistry.of(connection(), this.directory.resolve("cache"));
		MlflowRegistry.Version version = registry.register("model-" + UUID.randomUUID(), model(),
				(model) -> model.experiment(experiment));
		Path loaded = registry.load(version.uri());
		assertThat(loaded.resolve("autoencoder/model.safetensors")).hasContent("weights");
		assertThat(loaded.resolve("m\u00e4rchen (1) +x,y~.txt")).isEmptyFile();
		// what is not as it was registered is not used
		String root = new MlflowClient(this.server.toString()).getRun(version.runId()).getInfo().getArtifactUri();
		assertThat(root).doesNotStartWith("mlflow-artifacts:");
		new MlflowApi(connection()).store(root).upload("model/model.safetensors", "others");
		SpoolFile.deleteAll(loaded);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> registry.load(version.uri()))
			.withMessageContaining("model.safetensors is not what was registered");
		new MlflowApi(connection()).store(root).upload("model/checksums.sha256", "0".repeat(64) + "  ../../escape\n");
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> registry.load("runs:/" + version.runId() + "/model"))
			.withMessageContaining("checksums.sha256 is not what was registered");
		assertThat(loaded).doesNotExist();
		assertThat(this.directory.resolve("escape")).doesNotExist();
	}

	/** A training with a text and a checkpoint. */
	private Run trained(String experiment) {
		MlflowListener listener = MlflowListener.of(MlflowOptions.of(Map.of("MLFLOW_S3_ENDPOINT_URL", moto.uri()),
				(options) -> options.trackingUri(this.server.toString())
					.experiment(experiment)
					.checkpoints(Checkpoints.LAST)
					.closeTimeout(Duration.ofMinutes(1))));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.start(FakeTraining.LANGUAGE_MODEL, 1, 3);
		listener.onSamples(FakeTraining.LANGUAGE_MODEL, 1, List.of(new Sample("One", " fish")));
		listener.onCheckpoint(FakeTraining.LANGUAGE_MODEL, 1,
				training.writeCheckpoint(FakeTraining.LANGUAGE_MODEL, "weights"));
		training.steps(FakeTraining.LANGUAGE_MODEL, 1, 3, 3);
		listener.onEnd(FakeTraining.LANGUAGE_MODEL, 3);
		listener.close();
		Tracked tracked = Tracked.of(this.server.toString(), experiment);
		tracked.assertLosses(FakeTraining.LANGUAGE_MODEL, 3);
		return tracked.phase(FakeTraining.LANGUAGE_MODEL);
	}

	@ParameterizedTest
	@ValueSource(strings = { "s3", "path" })
	void filesOfATraining(String kind) throws IOException {
		Run run = trained(experiment(location(kind)));
		ArtifactStore store = new MlflowApi(connection()).store(run.getInfo().getArtifactUri());
		assertThat(store.download("checkpoints/last/model.safetensors")).isEqualTo("weights");
		assertThat(store.download("samples/step-00000001.txt")).contains("One", " fish");
		assertThat(this.directory.resolve("mlflow-spool")).isEmptyDirectory();
	}

	@Test
	void metricsDoNotWaitForAStoreThatRefuses() {
		Run run = trained(experiment("s3://nobodys/runs"));
		assertThat(run.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(this.directory.resolve("mlflow-spool")).isNotEmptyDirectory();
	}

	@Test
	void largeFilesGoInParts() throws IOException {
		byte[] content = new byte[11 << 20];
		new Random(1).nextBytes(content);
		Path file = Files.write(this.directory.resolve("large"), content);
		S3Artifacts store = new S3Artifacts(this.server, client, "s3://" + BUCKET + "/parts", 5 << 20);
		store.upload("large", file);
		assertThat(client.headObject((head) -> head.bucket(BUCKET).key("parts/large")).eTag()).endsWith("-3\"");
		Path back = this.directory.resolve("back");
		store.download("large", 0, back);
		assertThat(back).hasSameBinaryContentAs(file);
	}

	@Test
	void partsOfAFileThatFailsDoNotStay() throws IOException {
		Path file = Files.write(this.directory.resolve("large"), new byte[3 << 20]);
		// S3 refuses parts of less than 5 MB when the file is to be complete
		S3Artifacts store = new S3Artifacts(this.server, client, "s3://" + BUCKET, 1 << 20);
		assertThatExceptionOfType(MlflowException.class).isThrownBy(() -> store.upload("failing", file))
			.withMessageContaining("answers 400 (EntityTooSmall)")
			.satisfies((ex) -> assertThat(ex.refused()).isTrue());
		assertThat(client.listMultipartUploads((list) -> list.bucket(BUCKET)).uploads()).isEmpty();
	}

	private String refusal(MlflowConnection connection, String root) {
		String[] refusal = { "" };
		assertThatExceptionOfType(MlflowException.class)
			.isThrownBy(() -> new MlflowApi(connection).store(root).upload("file", "text"))
			.satisfies((ex) -> refusal[0] = String.valueOf(ex.toInvalidInput().getMessage()));
		return refusal[0];
	}

	@Test
	void bucketThatIsMissing() {
		assertThat(refusal(connection(), "s3://nobodys/1/run/artifacts")).isEqualTo(this.server
				+ " has its artifacts at s3://nobodys/1/run/artifacts, which answers 404 (NoSuchBucket); create the bucket");
		assertThatExceptionOfType(MlflowException.class)
			.isThrownBy(() -> new MlflowApi(connection()).store("s3://" + BUCKET).download("nothing"))
			.satisfies((ex) -> assertThat(ex.status()).isEqualTo(MlflowException.NOT_FOUND));
	}

	@Test
	void storeThatIsAway() {
		MlflowConnection away = connection(Map.of("AWS_ENDPOINT_URL", "http://tests:" + SECRET + "@127.0.0.1:1"));
		assertThatExceptionOfType(MlflowException.class)
			.isThrownBy(() -> new MlflowApi(away).store("s3://" + BUCKET + "/x").upload("file", "text"))
			.withMessageContaining("s3://models/x, which cannot be reached (ConnectException)")
			.withMessageNotContaining(SECRET)
			.satisfies((ex) -> assertThat(ex.refused()).isFalse());
	}

	@Test
	void noCredentials() {
		assumeThat(System.getenv("AWS_ACCESS_KEY_ID")).isNull();
		List.of("aws.accessKeyId", "aws.secretAccessKey").forEach(System::clearProperty);
		try {
			assertThat(refusal(connection(), "s3://" + BUCKET))
				.endsWith("for which this machine has no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
						+ "or AWS_PROFILE, or give the machine a role");
		}
		finally {
			PROPERTIES.forEach(System::setProperty);
		}
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|',
			textBlock = """
					gs://bucket/1/run/artifacts      | which this client does not know                 | gs://bucket/PATH
					wasbs://c@a.blob.example/1/run/a | which this client does not know                 | wasbs://***@a.blob.example/PATH
					dbfs:/databricks/1/run/artifacts | which this client does not know                 | PATH
					hdfs://name:8020/1/run/artifacts | which this client does not know                 | hdfs://name:8020/PATH
					./mlruns/1/run/artifacts         | which begins at the server's working directory  | PATH
					file://nas/1/run/artifacts       | which is on another machine                     | file://nas/PATH
					/nowhere-here/1/run/artifacts    | which does not exist on this machine            | PATH
					""")
	void placesThatAreNotKnown(String root, String why, String destination) {
		assertThat(refusal(connection(), root)).contains(why)
			.endsWith("let the server pass them on: mlflow server --serve-artifacts --artifacts-destination "
					+ destination)
			.hasLineCount(1);
	}

	@ParameterizedTest
	@ValueSource(strings = { "../file", "model/../../file", "/etc/file", "" })
	void pathsLeadNowhereElse(String path) throws IOException {
		Path root = Files.createDirectory(this.directory.resolve("artifacts"));
		ArtifactStore store = new MlflowApi(connection()).store(root.toString());
		assertThatExceptionOfType(MlflowException.class).isThrownBy(() -> store.upload(path, "text"))
			.withMessageContaining("leads out of it");
		assertThatExceptionOfType(MlflowException.class).isThrownBy(() -> store.download(path))
			.withMessageContaining("leads out of it");
		assertThat(this.directory).isDirectoryNotContaining("glob:**/file");
	}

	/** Says why there is no S3, where AWS's library is missing. */
	static final class WithoutLibrary {

		private WithoutLibrary() {
		}

		public static void main(String[] args) {
			try {
				new MlflowApi(MlflowConnection.to("http://localhost:5000")).store("s3://bucket/1/run/artifacts");
			}
			catch (MlflowException ex) {
				System.out.print(ex.toInvalidInput().getMessage());
			}
		}

	}

	@Test
	void libraryThatIsMissing() throws IOException {
		String classPath = Arrays
			.stream(System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"))
				.split(File.pathSeparator))
			.filter((entry) -> !entry.contains("awssdk"))
			.collect(Collectors.joining(File.pathSeparator));
		Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp",
				classPath, WithoutLibrary.class.getName())
			.redirectErrorStream(true)
			.start();
		assertThat(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
			.isEqualTo("http://localhost:5000 has its artifacts at s3://, and AWS's library is missing; add "
					+ "software.amazon.awssdk:s3 and software.amazon.awssdk:url-connection-client to the class path, or let "
					+ "the server pass them on: mlflow server --serve-artifacts --artifacts-destination s3://BUCKET/PATH");
	}

}

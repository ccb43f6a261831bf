package io.calm.docs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

import io.calm.cluster.Workers;
import io.calm.streaming.service.StreamingProperties;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.junit.jupiter.api.Test;
import org.yaml.snakeyaml.Yaml;

import org.springframework.boot.context.properties.bind.Binder;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * The files of {@code deploy/}, as far as they can be checked without Docker and a
 * cluster: their form, what they refer to, and the variables of the service and the
 * broker.
 */
class DeploymentTest {

	private static final Path DEPLOY = Repository.ROOT.resolve("deploy");

	/** Begins when somebody asks for it. */
	private static final String TRAINING = "training.yaml";

	/** The same for clusters with Kubeflow Trainer. */
	private static final String TRAIN_JOB = "trainjob.yaml";

	/** Needs KEDA in the cluster. */
	private static final String SCALING = "scaling.yaml";

	/** What the image of Kafka reads itself. */
	private static final List<String> OF_IMAGE = List.of("KAFKA_HEAP_OPTS", "KAFKA_OPTS");

	private final Repository repository = new Repository();

	private final Settings settings = new Settings(this.repository);

	private final List<String> images = List.of("apache/kafka:" + this.repository.version("kafka.version"),
			"ghcr.io/mlflow/mlflow:v" + Commands.testedMlflow(),
			"calm/streaming-generator:" + this.repository.version("version").replace("-SNAPSHOT", ""));

	@Test
	void composeFits() throws IOException {
		Node compose = new Node("compose.yaml", new Yaml().load(Files.readString(DEPLOY.resolve("compose.yaml"))));
		Node services = compose.get("services");
		for (String name : services.keys()) {
			Node service = services.get(name);
			assertThat(this.images).as("image of %s", name).contains(service.get("image").text());
			// there is no access control
			assertThat(service.get("ports").items().stream().map(Node::text)).as("ports of %s", name)
				.allMatch((port) -> port.startsWith("127.0.0.1:"));
			assertThat(service.get("restart").text()).as("restart of %s", name).isEqualTo("unless-stopped");
			assertThat(service.get("read_only").value()).as("root of %s", name).isEqualTo(true);
			assertThat(service.get("cap_drop").value()).as("capabilities of %s", name).isEqualTo(List.of("ALL"));
			for (Node volume : service.get("volumes").items()) {
				String source = volume.text().replaceFirst("^\\$\\{\\w+:-(.*?)}", "$1").replaceFirst(":.*", "");
				if (!source.startsWith("..")) {
					assertThat(compose.get("volumes").keys()).as("volumes of %s", name).contains(source);
				}
			}
			service.optional("depends_on").ifPresent((others) -> {
				assertThat(services.keys()).as("services that %s waits for", name).containsAll(others.keys());
				// condition: service_healthy
				others.keys().forEach((other) -> services.get(other).get("healthcheck").get("test").items());
			});
			service.optional("environment")
				.ifPresent((variables) -> variables.keys()
					.forEach((variable) -> variable(name, variable, variables.get(variable).text())));
			service.optional("build")
				.ifPresent((build) -> dockerfile(
						DEPLOY.resolve(build.get("context").text()).resolve(build.get("dockerfile").text())));
		}
		assertThat(services.get("generator").get("ports").items().get(0).text()).endsWith(":8080");
	}

	/** The jar that it copies is one that a module makes, and it starts it. */
	private void dockerfile(Path file) {
		List<String> lines = Repository.text(file).lines().toList();
		String copy = lines.stream().filter((line) -> line.startsWith("COPY ")).findFirst().orElseThrow();
		String[] words = copy.split(" ");
		assertThat(this.repository.moduleOf(words[1])).as("module of %s", words[1]).isPresent();
		assertThat(lines).as("the entry point")
			.anyMatch((line) -> line.startsWith("ENTRYPOINT") && line.contains(words[2])
					&& line.contains("-XX:+ExitOnOutOfMemoryError"));
		assertThat(lines).anyMatch((line) -> line.startsWith("HEALTHCHECK "));
		assertThat(lines.stream().filter((line) -> line.startsWith("FROM ")))
			.containsExactly("FROM eclipse-temurin:" + this.repository.version("java.version") + "-jre");
	}

	private void variable(String service, String name, String value) {
		if (service.equals("kafka")) {
			String setting = name.substring("KAFKA_".length()).toLowerCase(Locale.ROOT).replace('_', '.');
			assertThat(OF_IMAGE.contains(name) || AbstractKafkaConfig.CONFIG_DEF.names().contains(setting))
				.as("setting %s of the broker", setting)
				.isTrue();
		}
		else if (!name.equals("HOME")) {
			assertThat(this.settings.hasVariable(name, value)).as("property behind %s=%s", name, value).isTrue();
		}
	}

	@Test
	void kubernetesFits() throws IOException {
		Path directory = DEPLOY.resolve("kubernetes");
		Node kustomization = documents(directory.resolve("kustomization.yaml")).get(0);
		List<Node> all = new ArrayList<>();
		List<String> listed = kustomization.get("resources").items().stream().map(Node::text).toList();
		for (String file : listed) {
			all.addAll(documents(directory.resolve(file)));
		}
		try (Stream<Path> files = Files.list(directory)) {
			assertThat(files.map((file) -> file.getFileName().toString())
				.filter((file) -> !file.startsWith("kustom") && !List.of(TRAINING, TRAIN_JOB, SCALING).contains(file)))
				.containsExactlyInAnyOrderElementsOf(listed);
		}
		all.forEach((each) -> assertThat(each.get("apiVersion").text() + " " + each.get("kind").text())
			.as("kinds with their versions")
			.isIn("v1 Namespace", "v1 Service", "v1 PersistentVolumeClaim", "apps/v1 Deployment", "apps/v1 StatefulSet",
					"networking.k8s.io/v1 NetworkPolicy", "policy/v1 PodDisruptionBudget"));
		assertThat(all.stream().map((each) -> each.get("kind").text())).contains("NetworkPolicy",
				"PodDisruptionBudget");
		assertThat(all.stream().map((each) -> each.get("kind").text() + " " + each.get("metadata").get("name").text()))
			.doesNotHaveDuplicates();
		List<Node> workloads = all.stream().filter((each) -> each.get("apiVersion").text().equals("apps/v1")).toList();
		assertThat(workloads).hasSize(3);
		workloads.forEach((each) -> workload(all, each));
		workloads.forEach(DeploymentTest::hardened);
		all.stream().filter((each) -> each.get("kind").text().equals("PodDisruptionBudget")).forEach((each) -> {
			Object selected = each.get("spec").get("selector").get("matchLabels").value();
			assertThat(workloads).as("what a budget is for")
				.anyMatch((one) -> one.get("spec").get("selector").get("matchLabels").value().equals(selected));
		});
		all.stream()
			.filter((each) -> each.get("kind").text().equals("Service"))
			.forEach((each) -> service(workloads, each));
	}

	/**
	 * As Kubernetes would: each pod has its index, and its name in the headless service.
	 */
	@Test
	void workersOfATrainingFindEachOther() throws IOException {
		List<Node> all = documents(DEPLOY.resolve("kubernetes").resolve(TRAINING));
		Map<String, Node> kinds = all.stream()
			.collect(Collectors.toMap((each) -> each.get("kind").text(), (each) -> each));
		assertThat(kinds).containsOnlyKeys("Namespace", "NetworkPolicy", "Service", "PersistentVolumeClaim", "Job");
		String namespace = node(kinds, "Namespace").get("metadata").get("name").text();
		all.stream()
			.filter((each) -> !each.get("kind").text().equals("Namespace"))
			.forEach((each) -> assertThat(each.get("metadata").get("namespace").text()).isEqualTo(namespace));
		Node job = node(kinds, "Job");
		confined(job);
		Node spec = job.get("spec");
		Node pod = spec.get("template").get("spec");
		Node container = pod.get("containers").items().get(0);
		assertThat(container.get("image").text())
			.isEqualTo("calm/calm-cli:" + this.images.get(2).replaceFirst(".*:", ""));
		service(List.of(job), node(kinds, "Service"));
		assertThat(node(kinds, "Service").get("metadata").get("name").text()).isEqualTo(pod.get("subdomain").text());
		assertThat(node(kinds, "PersistentVolumeClaim").get("spec").get("accessModes").value())
			.isEqualTo(List.of("ReadWriteMany"));

		int count = (int) spec.get("completions").value();
		assertThat(spec.get("parallelism").value()).as("all at once").isEqualTo(count);
		String port = container.get("ports").items().get(0).get("containerPort").value().toString();
		List<String> addresses = IntStream.range(0, count)
			.mapToObj((index) -> job.get("metadata").get("name").text() + "-" + index + "."
					+ pod.get("subdomain").text() + ":" + port)
			.toList();
		List<Node> environment = container.get("env").items();
		String config = environment.get(1).get("value").text();
		assertThat(environment.get(1).get("name").text()).isEqualTo(Workers.VARIABLE);
		for (int index = 0; index < count; index++) {
			assertThat(Workers.parse(config.replace("$(" + environment.get(0).get("name").text() + ")", "" + index)))
				.isEqualTo(new Workers(addresses, index));
		}
		Node policy = node(kinds, "NetworkPolicy").get("spec");
		assertThat(policy.get("podSelector").value()).as("whom it is for: all").isEqualTo(Map.of());
		Node ingress = policy.get("ingress").items().get(0);
		assertThat(ingress.get("from").items().get(0).get("podSelector").get("matchLabels").value())
			.isEqualTo(spec.get("template").get("metadata").get("labels").value());
		assertThat(ingress.get("ports").items().get(0).get("port").value().toString()).isEqualTo(port);

		List<String> arguments = container.get("args").items().stream().map(Node::text).toList();
		Objects.requireNonNull(Commands.model("calm.jar")).parseArgs(arguments.toArray(String[]::new));
		assertThat(arguments).contains("train")
			.anyMatch((argument) -> argument.startsWith("--output=/data/"))
			.noneMatch((argument) -> argument.startsWith("--workers"));
	}

	/**
	 * Kubeflow makes a JobSet of it, whose pods are called after the training, the
	 * replicated job, its number and their own.
	 */
	@Test
	void theTrainJobTrainsAsTheJobDoes() throws IOException {
		List<Node> plain = documents(DEPLOY.resolve("kubernetes").resolve(TRAINING));
		List<Node> all = documents(DEPLOY.resolve("kubernetes").resolve(TRAIN_JOB));
		assertThat(all).extracting((each) -> each.get("apiVersion").text() + " " + each.get("kind").text())
			.containsExactly("v1 Namespace", "networking.k8s.io/v1 NetworkPolicy", "v1 PersistentVolumeClaim",
					"trainer.kubeflow.org/v1alpha1 TrainingRuntime", "trainer.kubeflow.org/v1alpha1 TrainJob");
		for (String kind : List.of("Namespace", "NetworkPolicy", "PersistentVolumeClaim")) {
			assertThat(find(all, kind).value()).isEqualTo(find(plain, kind).value());
		}
		Node runtime = find(all, "TrainingRuntime");
		Node training = find(all, "TrainJob");
		for (Node each : List.of(runtime, training)) {
			assertThat(each.get("metadata").get("namespace").value())
				.isEqualTo(find(all, "Namespace").get("metadata").get("name").value());
		}
		assertThat(training.get("spec").get("runtimeRef").value())
			.isEqualTo(Map.of("kind", "TrainingRuntime", "name", runtime.get("metadata").get("name").value()));

		Node replicated = runtime.get("spec").get("template").get("spec").get("replicatedJobs").items().get(0);
		Node template = replicated.get("template");
		assertThat(template.get("metadata").get("labels").value())
			.isEqualTo(Map.of("trainer.kubeflow.org/trainjob-ancestor-step", "trainer"));
		Node spec = template.get("spec");
		Node job = find(plain, "Job").get("spec");
		assertThat(spec.get("completionMode").value()).isEqualTo(job.get("completionMode").value());
		assertThat(spec.get("backoffLimit").value()).isEqualTo(job.get("backoffLimit").value());
		assertThat(spec.get("template").get("metadata").value()).as("whom the network policy lets in")
			.isEqualTo(job.get("template").get("metadata").value());
		Node pod = spec.get("template").get("spec");
		Node plainPod = job.get("template").get("spec");
		for (String part : List.of("restartPolicy", "topologySpreadConstraints", "automountServiceAccountToken",
				"securityContext", "volumes")) {
			assertThat(pod.get(part).value()).as(part).isEqualTo(plainPod.get(part).value());
		}
		Node container = pod.get("containers").items().get(0);
		Node plainContainer = plainPod.get("containers").items().get(0);
		assertThat(container.get("name").value()).as("the name that Kubeflow knows").isEqualTo("node");
		Node exits = spec.get("podFailurePolicy").get("rules").items().get(0).get("onExitCodes");
		assertThat(exits.get("containerName").value()).isEqualTo("node");
		assertThat(exits.get("values").value()).isEqualTo(List.of(2));
		for (String part : List.of("image", "ports", "securityContext", "resources", "volumeMounts")) {
			assertThat(container.get(part).value()).as(part).isEqualTo(plainContainer.get(part).value());
		}

		Node trainer = training.get("spec").get("trainer");
		assertThat(trainer.keys()).containsExactlyInAnyOrder("numNodes", "args", "env");
		assertThat(trainer.get("args").value()).isEqualTo(plainContainer.get("args").value());
		int count = (int) trainer.get("numNodes").value();
		String name = training.get("metadata").get("name").text();
		List<String> addresses = IntStream.range(0, count)
			.mapToObj((index) -> name + "-" + replicated.get("name").text() + "-0-" + index + "." + name + ":2222")
			.toList();
		// one refers to the other, which therefore has to stand before it: Kubeflow adds
		// the training's to those of the runtime
		Node index = container.get("env").items().get(0);
		assertThat(index.value()).isEqualTo(plainContainer.get("env").items().get(0).value());
		Node config = trainer.get("env").items().get(0);
		assertThat(config.get("name").text()).isEqualTo(Workers.VARIABLE);
		for (int worker = 0; worker < count; worker++) {
			assertThat(Workers
				.parse(config.get("value").text().replace("$(" + index.get("name").text() + ")", "" + worker)))
				.isEqualTo(new Workers(addresses, worker));
		}
	}

	/**
	 * KEDA's kinds have no schema at hand: the fields are those that its documentation
	 * names, and what they refer to is there.
	 */
	@Test
	void scalingFitsTheService() throws IOException {
		StreamingProperties defaults = new Binder().bindOrCreate("calm.streaming", StreamingProperties.class);
		Path directory = DEPLOY.resolve("kubernetes");
		List<Node> all = documents(directory.resolve(SCALING));
		assertThat(all).extracting((each) -> each.get("apiVersion").text() + " " + each.get("kind").text())
			.containsExactly("keda.sh/v1alpha1 ScaledObject", "networking.k8s.io/v1 NetworkPolicy");
		String namespace = documents(directory.resolve("kustomization.yaml")).get(0).get("namespace").text();
		assertThat(all).extracting((each) -> each.get("metadata").get("namespace").text())
			.containsExactly(namespace, namespace);
		Node spec = all.get(0).get("spec");
		assertThat(all.get(0).keys()).containsExactlyInAnyOrder("apiVersion", "kind", "metadata", "spec");
		assertThat(spec.keys()).containsExactlyInAnyOrder("scaleTargetRef", "minReplicaCount", "maxReplicaCount",
				"advanced", "triggers");
		Node behavior = spec.get("advanced").get("horizontalPodAutoscalerConfig").get("behavior");
		assertThat(behavior.keys()).containsExactlyInAnyOrder("scaleUp", "scaleDown");
		behavior.keys()
			.forEach((each) -> assertThat((int) behavior.get(each).get("stabilizationWindowSeconds").value())
				.isBetween(0, 3600));

		Node deployment = find(documents(directory.resolve("generator.yaml")), "Deployment");
		assertThat(spec.get("scaleTargetRef").value())
			.isEqualTo(Map.of("name", deployment.get("metadata").get("name").text()));
		assertThat(spec.get("minReplicaCount").value()).isEqualTo(deployment.get("spec").get("replicas").value());
		assertThat((int) spec.get("maxReplicaCount").value()).isGreaterThan((int) spec.get("minReplicaCount").value())
			.isEqualTo(defaults.topics().partitions());

		assertThat(spec.get("triggers").items()).hasSize(1);
		Node trigger = spec.get("triggers").items().get(0);
		assertThat(trigger.keys()).containsExactlyInAnyOrder("type", "metadata");
		assertThat(trigger.get("type").text()).isEqualTo("kafka");
		Node kafka = trigger.get("metadata");
		assertThat(kafka.keys()).containsExactlyInAnyOrder("bootstrapServers", "version", "consumerGroup", "topic",
				"offsetResetPolicy", "lagThreshold");
		// KEDA reads texts only
		kafka.keys().forEach((each) -> assertThat(kafka.get(each).value()).as(each).isInstanceOf(String.class));
		assertThat(kafka.get("consumerGroup").value()).isEqualTo(defaults.group());
		assertThat(kafka.get("topic").value()).isEqualTo(defaults.topics().requests());
		Map<String, String> service = variables(deployment);
		assertThat(service.keySet()).doesNotContain("CALM_STREAMING_GROUP", "CALM_STREAMING_TOPICS_REQUESTS",
				"CALM_STREAMING_TOPICS_PARTITIONS", "CALM_STREAMING_AHEAD", "CALM_STREAMING_MODE",
				"SPRING_KAFKA_CONSUMER_AUTO_OFFSET_RESET");
		int busy = Integer.parseInt(service.getOrDefault("CALM_ENGINE_SLOTS", "")) + defaults.ahead();
		assertThat(kafka.get("lagThreshold").value()).isEqualTo(Integer.toString(2 * busy));

		List<Node> broker = documents(directory.resolve("kafka.yaml"));
		Node pods = find(broker, "StatefulSet").get("spec").get("template");
		String address = kafka.get("bootstrapServers").text();
		assertThat(address).as("its name elsewhere")
			.startsWith(find(broker, "Service").get("metadata").get("name").text() + "." + namespace + ":");
		assertThat(variables(find(broker, "StatefulSet"))).as("where the broker sends its callers")
			.containsEntry("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://" + address);
		Node policy = all.get(1).get("spec");
		assertThat(policy.get("podSelector").get("matchLabels").value())
			.isEqualTo(pods.get("metadata").get("labels").value());
		Node port = policy.get("ingress").items().get(0).get("ports").items().get(0).get("port");
		assertThat(address).endsWith(":" + port.value());
	}

	private static Node find(List<Node> documents, String kind) {
		return documents.stream().filter((each) -> each.get("kind").text().equals(kind)).findFirst().orElseThrow();
	}

	private static Map<String, String> variables(Node workload) {
		return workload.get("spec")
			.get("template")
			.get("spec")
			.get("containers")
			.items()
			.get(0)
			.get("env")
			.items()
			.stream()
			.collect(Collectors.toMap((each) -> each.get("name").text(), (each) -> each.get("value").text()));
	}

	@Test
	void theImageOfTheCommandIsThatOfAModule() {
		List<String> lines = Repository.text(DEPLOY.resolve("Dockerfile.calm")).lines().toList();
		assertThat(lines).contains("FROM eclipse-temurin:" + this.repository.version("java.version") + "-jre",
				"COPY examples/calm-cli/target/calm.jar /opt/calm/calm.jar",
				"COPY examples/calm-cli/target/lib /opt/calm/lib");
		assertThat(this.repository.moduleOf("examples/calm-cli/target/calm.jar")).isPresent();
		assertThat(lines).anyMatch((line) -> line.startsWith("ENTRYPOINT") && line.contains("/opt/calm/calm.jar"));
	}

	private static Node node(Map<String, Node> kinds, String kind) {
		return Objects.requireNonNull(kinds.get(kind), kind);
	}

	private static void hardened(Node workload) {
		confined(workload);
		for (Node container : workload.get("spec").get("template").get("spec").get("containers").items()) {
			assertThat(container.get("livenessProbe").keys()).isNotEmpty();
		}
	}

	/** What a pod may not do although it never wants to. */
	private static void confined(Node workload) {
		String name = workload.get("metadata").get("name").text();
		Node pod = workload.get("spec").get("template").get("spec");
		assertThat(pod.get("automountServiceAccountToken").value()).as(name).isEqualTo(false);
		assertThat(pod.get("securityContext").get("runAsNonRoot").value()).as(name).isEqualTo(true);
		assertThat(pod.get("securityContext").get("seccompProfile").get("type").value()).as(name)
			.isEqualTo("RuntimeDefault");
		for (Node container : pod.get("containers").items()) {
			Node context = container.get("securityContext");
			assertThat(context.get("allowPrivilegeEscalation").value()).as(name).isEqualTo(false);
			assertThat(context.get("readOnlyRootFilesystem").value()).as(name).isEqualTo(true);
			assertThat(context.get("capabilities").get("drop").value()).as(name).isEqualTo(List.of("ALL"));
			// on a root that cannot be written
			assertThat(container.get("volumeMounts").items().stream().map((each) -> each.get("mountPath").text()))
				.as(name)
				.contains("/tmp");
		}
	}

	private void workload(List<Node> all, Node workload) {
		String name = workload.get("metadata").get("name").text();
		Node spec = workload.get("spec");
		Node template = spec.get("template");
		assertThat(spec.get("selector").get("matchLabels").value()).as("labels of %s", name)
			.isEqualTo(template.get("metadata").get("labels").value());
		List<String> volumes = new ArrayList<>();
		template.get("spec").optional("volumes").ifPresent((list) -> list.items().forEach((volume) -> {
			volumes.add(volume.get("name").text());
			volume.optional("persistentVolumeClaim")
				.ifPresent((claim) -> assertThat(all.stream()
					.filter((each) -> each.get("kind").text().equals("PersistentVolumeClaim"))
					.map((each) -> each.get("metadata").get("name").text())).contains(claim.get("claimName").text()));
		}));
		spec.optional("volumeClaimTemplates")
			.ifPresent(
					(list) -> list.items().forEach((claim) -> volumes.add(claim.get("metadata").get("name").text())));
		for (Node container : template.get("spec").get("containers").items()) {
			assertThat(this.images).as("image of %s", name).contains(container.get("image").text());
			List<String> ports = container.get("ports")
				.items()
				.stream()
				.map((port) -> port.get("name").text())
				.toList();
			for (String probe : List.of("startupProbe", "livenessProbe", "readinessProbe")) {
				container.optional(probe)
					.map((each) -> each.optional("httpGet").orElseGet(() -> each.get("tcpSocket")))
					.ifPresent((each) -> assertThat(ports).as("port of a probe of %s", name)
						.contains(each.get("port").text()));
			}
			container.get("volumeMounts")
				.items()
				.forEach((mount) -> assertThat(volumes).as("volumes of %s", name).contains(mount.get("name").text()));
			container.get("env")
				.items()
				.forEach((each) -> variable(name, each.get("name").text(), each.get("value").text()));
			assertThat(container.get("resources").keys()).contains("requests", "limits");
		}
	}

	/** It leads to a port that a container of the pods it selects has. */
	private static void service(List<Node> workloads, Node service) {
		Node spec = service.get("spec");
		Node pods = workloads.stream()
			.map((each) -> each.get("spec").get("template"))
			.filter((each) -> each.get("metadata").get("labels").value().equals(spec.get("selector").value()))
			.findFirst()
			.orElseThrow(() -> new AssertionError("nothing is selected by " + service.value()));
		List<String> ports = pods.get("spec")
			.get("containers")
			.items()
			.stream()
			.flatMap((container) -> container.get("ports").items().stream())
			.map((port) -> port.get("name").text())
			.toList();
		spec.get("ports").items().forEach((port) -> assertThat(ports).contains(port.get("targetPort").text()));
	}

	private static List<Node> documents(Path file) throws IOException {
		Iterable<Object> documents = new Yaml().loadAll(Files.readString(file));
		return StreamSupport.stream(documents.spliterator(), false)
			.map((each) -> new Node(file.getFileName().toString(), each))
			.toList();
	}

	/**
	 * A value of a YAML file, with the place for messages.
	 *
	 * @param place where it stands
	 * @param value what stands there
	 */
	private record Node(String place, Object value) {

		Node get(String key) {
			return optional(key).orElseThrow(() -> new AssertionError(this.place + ": " + key + " is missing"));
		}

		Optional<Node> optional(String key) {
			assertThat(this.value).as(this.place).isInstanceOf(Map.class);
			Object inner = ((Map<?, ?>) this.value).get(key);
			return Optional.ofNullable(inner).map((each) -> new Node(this.place + ", " + key, each));
		}

		List<String> keys() {
			assertThat(this.value).as(this.place).isInstanceOf(Map.class);
			return ((Map<?, ?>) this.value).keySet().stream().map(String::valueOf).toList();
		}

		List<Node> items() {
			assertThat(this.value).as(this.place).isInstanceOf(List.class);
			return ((List<?>) this.value).stream().map((each) -> new Node(this.place, each)).toList();
		}

		/**
		 * YAML's own numbers and truths are no text, as Compose and Kubernetes demand of
		 * variables.
		 */
		String text() {
			if (this.place.contains("env") || this.place.contains("value")) {
				assertThat(this.value).as(this.place).isInstanceOf(String.class);
			}
			return this.value.toString();
		}

	}

}

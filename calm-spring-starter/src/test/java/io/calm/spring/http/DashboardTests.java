package io.calm.spring.http;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.yaml.snakeyaml.Yaml;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * The dashboard and the alerts in {@code deploy} ask for what there is: of the actuator,
 * and of a real Prometheus where one is installed.
 */
class DashboardTests {

	private static final Path DASHBOARD = Path.of("../deploy/grafana/calm.json");

	private static final Path ALERTS = Path.of("../deploy/prometheus/alerts.yaml");

	private static final Pattern METRIC = Pattern.compile("\\b(gen_ai|calm|jvm|process)_[a-z0-9_]+");

	private static RunningService service;

	@BeforeAll
	static void start() {
		service = RunningService.start("--management.endpoints.web.exposure.include=prometheus");
	}

	@AfterAll
	static void stop() {
		service.close();
	}

	private static void generate() {
		assertThat(service.post("/v1/completions", "{\"prompt\":\"One\"}").statusCode()).isEqualTo(200);
	}

	private static List<String> queries() throws IOException {
		List<String> queries = new ArrayList<>();
		JsonObject dashboard = JsonParser.parseString(Files.readString(DASHBOARD)).getAsJsonObject();
		for (JsonElement panel : dashboard.getAsJsonArray("panels")) {
			for (JsonElement target : panel.getAsJsonObject().getAsJsonArray("targets")) {
				queries.add(target.getAsJsonObject().get("expr").getAsString().replace("$__rate_interval", "1m"));
			}
		}
		assertThat(queries).hasSizeGreaterThan(10);
		return queries;
	}

	private static List<String> alerts() throws IOException {
		List<String> alerts = new ArrayList<>();
		JsonObject file = JsonParser.parseString(new Gson().toJson((Object) new Yaml().load(Files.readString(ALERTS))))
			.getAsJsonObject();
		for (JsonElement group : file.getAsJsonArray("groups")) {
			for (JsonElement rule : group.getAsJsonObject().getAsJsonArray("rules")) {
				alerts.add(rule.getAsJsonObject().get("expr").getAsString());
			}
		}
		assertThat(alerts).hasSizeGreaterThan(3);
		return alerts;
	}

	/** Without labels, some of which are called like metrics. */
	private static Set<String> metrics(String query) {
		Set<String> metrics = new TreeSet<>();
		Matcher metric = METRIC.matcher(query.replaceAll("\\{[^}]*}|by \\([^)]*\\)", ""));
		while (metric.find()) {
			metrics.add(metric.group());
		}
		return metrics;
	}

	@Test
	void everyMetricIsExported() throws IOException {
		generate();
		Set<String> exported = service.get("/actuator/prometheus")
			.body()
			.lines()
			.filter((line) -> !line.startsWith("#"))
			.map((line) -> line.replaceFirst("[{ ].*", ""))
			.collect(Collectors.toSet());
		List<String> all = queries();
		all.addAll(alerts());
		assertThat(all).allSatisfy((query) -> {
			assertThat(metrics(query)).isNotEmpty();
			assertThat(exported).containsAll(metrics(query));
		});
	}

	@Test
	void everyQueryHasData(@TempDir Path directory) throws Exception {
		int port;
		try (ServerSocket free = new ServerSocket(0)) {
			port = free.getLocalPort();
		}
		Path config = Files.writeString(directory.resolve("prometheus.yml"), """
				global:
				  scrape_interval: 1s
				rule_files: ['%s']
				scrape_configs:
				  - job_name: calm
				    metrics_path: /actuator/prometheus
				    static_configs:
				      - targets: ['127.0.0.1:%d']
				""".formatted(ALERTS.toRealPath(), service.port()));
		Process prometheus = prometheus(config, directory, port);
		try {
			await().atMost(Duration.ofMinutes(1)).ignoreExceptions().until(() -> !ask(port, "up == 1").isEmpty());
			for (String query : queries()) {
				// a rate needs texts at two times
				await().atMost(Duration.ofMinutes(1)).untilAsserted(() -> {
					generate();
					assertThat(ask(port, query)).as(query).isNotEmpty().doesNotContain("NaN");
				});
			}
			for (String alert : alerts()) {
				ask(port, alert);
			}
		}
		finally {
			prometheus.destroy();
			prometheus.onExit().join();
		}
	}

	private static Process prometheus(Path config, Path directory, int port) {
		try {
			return new ProcessBuilder("prometheus", "--config.file=" + config,
					"--storage.tsdb.path=" + directory.resolve("data"), "--web.listen-address=127.0.0.1:" + port)
				.redirectErrorStream(true)
				.redirectOutput(directory.resolve("prometheus.log").toFile())
				.start();
		}
		catch (IOException ex) {
			return Assumptions.abort("There is no prometheus: " + ex.getMessage());
		}
	}

	/** The values of a query. */
	private static List<String> ask(int port, String query) throws IOException, InterruptedException {
		URI uri = URI.create(
				"http://127.0.0.1:" + port + "/api/v1/query?query=" + URLEncoder.encode(query, StandardCharsets.UTF_8));
		JsonObject answer = JsonParser.parseString(
				HttpClient.newHttpClient().send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString()).body())
			.getAsJsonObject();
		assertThat(answer.get("status").getAsString()).as(query).isEqualTo("success");
		List<String> values = new ArrayList<>();
		answer.getAsJsonObject("data")
			.getAsJsonArray("result")
			.forEach((each) -> values.add(each.getAsJsonObject().getAsJsonArray("value").get(1).getAsString()));
		return values;
	}

}

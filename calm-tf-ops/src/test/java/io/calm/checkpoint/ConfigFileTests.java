package io.calm.checkpoint;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class ConfigFileTests {

	private final Path directory;

	ConfigFileTests(@TempDir Path directory) {
		this.directory = directory;
	}

	@Test
	void readsSettings() throws IOException {
		ConfigFile config = config("""
				{"hidden_size": 48, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "model_type": "energy",
				 "tie": true, "rope_scaling": null, "exact": 3.0, "within": {"theta": 5e5}}""");
		assertThat(config.integer("hidden_size")).isEqualTo(48);
		assertThat(config.integer("hidden_size", 48, 48)).isEqualTo(48);
		assertThat(config.integer("exact")).isEqualTo(3);
		assertThat(config.integer("rope_theta", 7)).isEqualTo(10_000);
		assertThat(config.integer("missing", 7)).isEqualTo(7);
		assertThat(config.integer("missing", 7, 1, 9)).isEqualTo(7);
		assertThat(config.number("rms_norm_eps")).isEqualTo(1e-6);
		assertThat(config.number("missing", 0.5)).isEqualTo(0.5);
		assertThat(config.text("model_type")).isEqualTo("energy");
		assertThat(config.text("missing", "flow")).isEqualTo("flow");
		assertThat(config.flag("tie", false)).isTrue();
		assertThat(config.flag("missing", true)).isTrue();
		assertThat(config.has("tie")).isTrue();
		assertThat(config.has("rope_scaling")).isFalse();
		assertThat(config.integer("rope_scaling", 5)).isEqualTo(5);
		assertThat(config.section("within").number("theta")).isEqualTo(5e5);
	}

	@Test
	void errorsNameFileAndSetting() throws IOException {
		ConfigFile config = config("""
				{"half": 0.5, "quoted": "48", "large": 2147483648, "huge": 1e99999, "list": [1], "number": 4}""");
		String path = this.directory.resolve("config.json").toString();
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> config.integer("missing"))
			.withMessageStartingWith(path + " has no 'missing'");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> config.integer("half"))
			.withMessageStartingWith(path + ": 'half' = '0.5' is no whole number");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> config.integer("quoted", 1))
			.withMessageContaining("'quoted'")
			.withMessageContaining("is no number");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> config.integer("large"))
			.withMessageContaining("'large' = '2147483648' is out of range");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> config.integer("huge"))
			.withMessageContaining("'huge' = '1e99999' is out of range");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> config.number("huge"))
			.withMessageContaining("'huge' = '1e99999' is out of range");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> config.integer("number", 5, 8))
			.withMessageContaining("from 5 to 8");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> config.text("list"))
			.withMessageContaining("'list' is a list or an object");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> config.text("number"))
			.withMessageContaining("'number' = '4' is no text");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> config.flag("number", true))
			.withMessageContaining("'number' = '4' is no truth value");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> config.section("number"))
			.withMessageContaining("'number' = '4' is no object of settings");
	}

	@ParameterizedTest
	@ValueSource(strings = { "", " ", "[]", "3", "null", "{", "{\"a\":1", "{\"a\":1}}", "{\"a\":1} x", "{a:1}",
			"{\"a\":NaN}", "{'a':1}", "<html>", "\0" })
	void refusesWhatIsNoJsonObject(String text) throws IOException {
		Path path = Files.writeString(this.directory.resolve("config.json"), text);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ConfigFile.read(path))
			.withMessageContaining(path.toString());
	}

	@Test
	void tellsWhereTheJsonIsWrong() throws IOException {
		Path path = Files.writeString(this.directory.resolve("config.json"), "{\n  \"a\": x\n}");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ConfigFile.read(path))
			.withMessageContaining("is no JSON at line 2 column");
	}

	@Test
	void refusesHugeMissingAndUndecodableFiles() throws IOException {
		Path path = this.directory.resolve("config.json");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ConfigFile.read(path))
			.withMessageContaining("does not exist");
		Files.writeString(path, "{\"a\":\"" + "x".repeat(1 << 20) + "\"}");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ConfigFile.read(path))
			.withMessageContaining("no configuration");
		Files.writeString(path, "[".repeat(1 << 19));
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ConfigFile.read(path));
		Files.write(path, "{\"\u00e9\":1}".getBytes(StandardCharsets.ISO_8859_1));
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ConfigFile.read(path))
			.withMessageContaining("is no JSON");
	}

	@Test
	void writesSettingsInOrder() throws IOException {
		Map<String, Object> settings = new LinkedHashMap<>();
		settings.put("model_type", "a<b");
		settings.put("hidden_size", 48);
		settings.put("layers", List.of(1, 2));
		Path path = this.directory.resolve("config.json");
		ConfigFile.write(path, settings);
		assertThat(path).hasContent("""
				{
				  "model_type": "a<b",
				  "hidden_size": 48,
				  "layers": [
				    1,
				    2
				  ]
				}
				""");
		assertThat(ConfigFile.read(path).integer("hidden_size")).isEqualTo(48);
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> ConfigFile.write(this.directory, settings))
			.withMessageContaining("cannot be written");
	}

	private ConfigFile config(String text) throws IOException {
		return ConfigFile.read(Files.writeString(this.directory.resolve("config.json"), text));
	}

}

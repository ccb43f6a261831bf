package io.calm.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.networknt.schema.Error;
import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.schema.CoreSchema;
import picocli.CommandLine.Model.OptionSpec;

import static io.calm.cli.Invocation.calm;
import static org.assertj.core.api.Assertions.assertThat;

/**
 * The schema of a sweep's file: made of the options, and of what {@link SweepFile} reads
 * besides. Examples hold it against the command.
 */
class SweepSchemaTests {

	private static final Path SCHEMA = Path.of("../../docs/sweep.schema.json");

	/** Values of options are those of the run's schema, beside this one. */
	private static final String OF_RUNS = "run.schema.json";

	private static Schema schema;

	private final Path directory;

	SweepSchemaTests(@TempDir Path directory) throws IOException {
		this.directory = directory;
		Files.writeString(directory.resolve("text.txt"), "red blue one two ".repeat(100));
		Files.writeString(directory.resolve("unseen.txt"), "one red two blue ".repeat(20));
	}

	@BeforeAll
	static void read() {
		schema = SchemaRegistry
			.withDefaultDialect(SpecificationVersion.DRAFT_2020_12,
					(registry) -> registry.schemaLoader((loader) -> loader.fetchRemoteResources()))
			.getSchema(SchemaLocation.of(SCHEMA.toUri().toString()));
	}

	@Test
	void theSchemaIsThatOfTheCommand() throws IOException {
		JsonObject properties = new JsonObject();
		properties.add(SweepFile.RUN, run());
		properties.add(SweepFile.PARAMETERS, parameters());
		properties.add(SweepFile.HALVING, halving());
		RunFile.keys(OptionSchema.command("sweep"))
			.forEach((key, option) -> properties.add(key, OptionSchema.of(option)));
		JsonObject schema = OptionSchema.of(properties);
		schema.add("required", json("[\"run\", \"parameters\", \"output\"]"));
		schema.add("allOf", json("""
				[
				  {"if": {"properties": {"method": {"const": "random"}}, "required": ["method"]},
				   "then": {"properties": {"trials": {"minimum": 1}}, "required": ["trials"]},
				   "else": {"properties": {"trials": false, "parameters": {
				     "additionalProperties": {"properties": {"min": false, "max": false}}}}}},
				  {"if": {"required": ["halving"]},
				   "then": {"properties": {"equal": {"const": "flops"}}}},
				  {"if": {"anyOf": [{"required": ["halving"]},
				                    {"properties": {"equal": {"const": "flops"}}, "required": ["equal"]}]},
				   "then": {"properties": {"parameters": {"properties": {"steps": false}}}}}
				]"""));
		schema.add("$defs", json("""
				{"integer": %s, "number": %s}""".formatted(range("integer"), range("number"))));
		OptionSchema.assertIsIn(SCHEMA, "A sweep of calm sweep", schema);
	}

	private static JsonElement json(String text) {
		return JsonParser.parseString(text);
	}

	private static JsonElement run() {
		return json("""
				{"description": "What all trials have: a file of calm train, or its keys. Output is replaced.",
				 "oneOf": [
				   {"type": "string", "minLength": 1},
				   {"$ref": "run.schema.json", "required": ["corpus", "evaluation-corpus"],
				    "properties": {"evaluate-every": {"minimum": 1}, "patience": {"maximum": 0},
				                   "workers": {"maximum": 1}, "trace": false}}]}""");
	}

	private static JsonObject parameters() {
		JsonObject keys = new JsonObject();
		RunFile.keys(OptionSchema.command("train")).forEach((key, option) -> {
			if (!SweepFile.NOT_VARIED.contains(key)) {
				keys.add(key, parameter(key, option));
			}
		});
		JsonObject parameters = new JsonObject();
		parameters.addProperty("description", "What differs between trials, by option of calm train: a list of values, "
				+ "or, for random trials, a range with min, max, and log if each power of ten is to be as likely.");
		OptionSchema.of(keys).entrySet().forEach((entry) -> parameters.add(entry.getKey(), entry.getValue()));
		parameters.addProperty("minProperties", 1);
		return parameters;
	}

	private static JsonObject parameter(String key, OptionSpec option) {
		JsonObject parameter = new JsonObject();
		parameter.addProperty("description", OptionSchema.description(option));
		String type = OptionSchema.name(option.type());
		boolean number = type.equals("integer") || type.equals("number");
		parameter.add("oneOf", json("""
				[{"type": "array", "minItems": 1, "uniqueItems": true, "items": {"$ref": "%s#/properties/%s"}},
				 {"type": "object", "properties": {"values": {"$ref": "#/properties/parameters/properties/%s/oneOf/0"}},
				  "required": ["values"], "additionalProperties": false}%s]""".formatted(OF_RUNS, key, key,
				number ? ", {\"$ref\": \"#/$defs/" + type + "\"}" : "")));
		return parameter;
	}

	private static JsonElement range(String type) {
		return json("""
				{"type": "object", "properties": {"min": {"type": "%1$s"}, "max": {"type": "%1$s"},
				 "log": {"type": "boolean", "default": false,
				         "description": "Whether each power of ten is as likely as another."}},
				 "required": ["min", "max"], "additionalProperties": false}""".formatted(type));
	}

	private static JsonElement halving() {
		JsonObject halving = json("""
				{"description": "Stops the worse trials early.", "type": "object", "additionalProperties": false,
				 "properties": {
				  "factor": {"type": "integer", "minimum": 2, "default": 2, "description":
				   "By how much the operations grow from rung to rung. The best 1/factor of the trials continue."},
				  "rungs": {"type": "integer", "minimum": 2, "maximum": 20, "description":
				   "How many rungs there are (default: as many as leave one trial)."},
				  "minimum-steps": {"type": "integer", "minimum": 1, "default": 1, "description":
				   "The least steps that the first rung of the run takes, in place of rungs."}},
				 "not": {"required": ["rungs", "minimum-steps"]}}""").getAsJsonObject();
		assertThat(halving.getAsJsonObject("properties").keySet()).containsExactlyElementsOf(SweepFile.OF_HALVING);
		assertThat(range("number").getAsJsonObject().getAsJsonObject("properties").keySet())
			.containsExactlyElementsOf(SweepFile.OF_RANGES.subList(1, SweepFile.OF_RANGES.size()));
		return halving;
	}

	@ParameterizedTest
	@ValueSource(strings = { "parameters: {learning-rate: [1e-3, 0.01]}", "parameters: {batch: {values: [2, 4]}}",
			"parameters: {clip-norm: [0.5, 1], batch: [2, 4]}\nmethod: grid\nhalving: {}\nparallel: 2",
			"""
					parameters: {learning-rate: {min: 1e-4, max: 1e-2, log: true}, batch: {min: 2, max: 4}, warmup: [0, 1]}
					method: random
					trials: 3
					seed: 7
					equal: flops
					halving: {factor: 3, rungs: 2}
					mlflow: http://localhost:5000
					mlflow-experiment: rates""",
			"parameters: {steps: [2, 4], decay: [linear, cosine]}\nequal: steps",
			"parameters: {corpus: [text.txt, [text.txt, unseen.txt]]}\nhalving: {minimum-steps: 2}",
			"parameters: {json-field: [text, body], no-fusion: [true, false]}" })
	void acceptedByBoth(String sweep) throws IOException {
		assertThat(errors(file(sweep))).isEmpty();
		assertThat(command(file(sweep))).returns(0, Invocation::exit);
	}

	@ParameterizedTest
	@ValueSource(strings = { "parametres: {batch: [2, 4]}", "seed: 1", "parameters: {}", "parameters: [batch]",
			"parameters: {lerning-rate: [2, 4]}", "parameters: {output: [a, b]}", "parameters: {patience: [1, 2]}",
			"parameters: {batch: 2}", "parameters: {batch: []}", "parameters: {batch: [2, 2]}",
			"parameters: {batch: [2, x]}", "parameters: {decay: [never]}", "parameters: {batch: {min: 2, max: 4}}",
			"parameters: {batch: {min: 2, max: 4}}\nmethod: random",
			"parameters: {batch: {min: 2, max: 4}}\nmethod: random\ntrials: 0",
			"parameters: {batch: {min: 2, max: 4.5}}\nmethod: random\ntrials: 2",
			"parameters: {batch: {min: 2, maxi: 4}}\nmethod: random\ntrials: 2",
			"parameters: {batch: {min: 2}}\nmethod: random\ntrials: 2",
			"parameters: {batch: {values: [2], max: 4}}\nmethod: random\ntrials: 2",
			"parameters: {batch: {min: 2, max: 4, log: perhaps}}\nmethod: random\ntrials: 2",
			"parameters: {decay: {min: 2, max: 4}}\nmethod: random\ntrials: 2",
			"parameters: {batch: [2, 4]}\ntrials: 3", "parameters: {batch: [2, 4]}\nmethod: guess",
			"parameters: {batch: [2, 4]}\ntrials: [3]", "parameters: {batch: [2, 4]}\nequal: halves",
			"parameters: {batch: [2, 4]}\nhalving: {}\nequal: steps", "parameters: {steps: [2, 4]}\nhalving: {}",
			"parameters: {steps: [2, 4]}\nequal: flops", "parameters: {batch: [2, 4]}\nhalving:",
			"parameters: {batch: [2, 4]}\nhalving: {factors: 3}", "parameters: {batch: [2, 4]}\nhalving: {factor: 1}",
			"parameters: {batch: [2, 4]}\nhalving: {rungs: 1}", "parameters: {batch: [2, 4]}\nhalving: {rungs: 21}",
			"parameters: {batch: [2, 4]}\nhalving: {minimum-steps: 0}",
			"parameters: {batch: [2, 4]}\nhalving: {rungs: 2, minimum-steps: 2}" })
	void refusedByBoth(String sweep) throws IOException {
		assertThat(errors(file(sweep))).isNotEmpty();
		assertThat(command(file(sweep))).returns(2, Invocation::exit);
	}

	@ParameterizedTest
	@ValueSource(strings = { "  patience: 3", "  workers: 2", "  trace: t.json", "  stps: 3", "  evaluate-every: 0",
			"  reduction-precision: auto", "corpus:", "evaluation-corpus:" })
	void runsRefusedByBoth(String line) throws IOException {
		String sweep = line.startsWith(" ") ? file(line + "\nparameters: {batch: [2, 4]}")
				: file("parameters: {batch: [2, 4]}").replaceAll("(?m)^  " + line + ".*\n", "");
		assertThat(errors(sweep)).isNotEmpty();
		assertThat(command(sweep)).returns(2, Invocation::exit);
	}

	/** A sweep of baselines, complete but for the rest. */
	private String file(String rest) {
		Path text = this.directory.resolve("text.txt");
		Path unseen = this.directory.resolve("unseen.txt");
		return """
				output: %s
				run:
				  corpus: %s
				  evaluation-corpus: [%s]
				  tokenizer: byte
				  baseline: true
				  preset: nano
				  steps: 8
				  batch: 2
				  block: 16
				  no-fusion: true
				""".formatted(this.directory.resolve("sweep"), text, unseen)
				+ rest.replace("text.txt", text.toString()).replace("unseen.txt", unseen.toString());
	}

	private static List<Error> errors(String sweep) {
		Object content = new Load(LoadSettings.builder().setSchema(new CoreSchema()).build()).loadFromString(sweep);
		return SweepSchemaTests.schema.validate(new GsonBuilder().serializeNulls().create().toJson(content),
				InputFormat.JSON);
	}

	private Invocation command(String sweep) throws IOException {
		return calm("sweep", Files.writeString(this.directory.resolve("sweep.yaml"), sweep), "--dry-run");
	}

}

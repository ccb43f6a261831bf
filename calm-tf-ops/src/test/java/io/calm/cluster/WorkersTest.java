package io.calm.cluster;

import java.util.List;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class WorkersTest {

	@Test
	void readsTheWorkersAndWhichThisProcessIs() {
		Workers workers = Workers.parse("""
				{"cluster": {"worker": ["a:2222", "b-1.calm.svc:2223", "[::1]:1"]},
				 "task": {"type": "worker", "index": 1}}""");
		assertThat(workers).isEqualTo(new Workers(List.of("a:2222", "b-1.calm.svc:2223", "[::1]:1"), 1));
		assertThat(workers.count()).isEqualTo(3);
		assertThat(workers.isFirst()).isFalse();
		assertThat(Workers.parse(workers.json())).isEqualTo(workers);
	}

	@ParameterizedTest
	@CsvSource({ "chief, 0, 0", "worker, 0, 1", "worker, 1, 2" })
	void chiefIsTheFirst(String type, int index, int place) {
		Workers workers = Workers.parse("""
				{"environment": "cloud", "cluster": {"worker": ["b:1", "c:1"], "chief": ["a:1"]},
				 "task": {"type": "%s", "index": "%d", "trial": "7"}}""".formatted(type, index));
		assertThat(workers).isEqualTo(new Workers(List.of("a:1", "b:1", "c:1"), place));
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', textBlock = """
			{                                                              | is no JSON
			{"cluster": {"worker": ["a:1"],}, "task": {}}                  | is no JSON
			[1]                                                            | is not one JSON object
			{} {}                                                          | is no
			{}                                                             | has no "cluster"
			{"cluster": [], "task": {}}                                    | has a "cluster" that is no JSON object
			{"cluster": {"worker": ["a:1"]}}                               | has no "task"
			C {"worker": "a:1"} T                                          | has a "worker" that is no list of addresses
			C {"worker": ["a:1", 2]} T                                     | has a "worker" that is no list of addresses
			C {"worker": ["a:1", null]} T                                  | has a "worker" that is no list of addresses
			C {"worker": []} T                                             | task worker 0, but 0 of this type
			C {} T                                                         | task worker 0, but 0 of this type
			C {"worker": ["a:1"], "ps": ["b:1"]} T                         | has tasks of the type "ps"
			C {"worker": ["a:1"], "chief": ["b:1", "c:1"]} T               | has 2 chiefs
			C {"worker": ["a"]} T                                          | has the address "a"
			C {"worker": ["a:0"]} T                                        | has the address "a:0"
			C {"worker": ["a:65536"]} T                                    | has the address "a:65536"
			C {"worker": ["http://a:1"]} T                                 | has the address "http://a:1"
			C {"worker": ["a:1,b:1"]} T                                    | has the address "a:1,b:1"
			C {"worker": ["a:1", "a:1"]} T                                 | lists a worker twice
			C {"worker": ["a:1"]}, "task": {"index": 0}}                   | has a task without a type
			C {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}     | has a task of the type "ps"
			C {"worker": ["a:1"]}, "task": {"type": "worker"}}             | index is missing
			C {"worker": ["a:1"]}, "task": {"type": "worker", "index": -1}}| index is -1
			C {"worker": ["a:1"]}, "task": {"type": "worker", "index": .5}}| is no JSON
			C {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1.5}} | index is 1.5
			C {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}} | task worker 1, but 1 of this type
			C {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}  | task chief 0, but 0 of this type
			""", quoteCharacter = '`')
	void saysInOneLineWhatIsWrong(String json, String problem) {
		String whole = json.replace("C ", "{\"cluster\": ")
			.replace(" T", ", \"task\": {\"type\": \"worker\", \"index\": 0}}");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> Workers.parse(whole))
			.withMessageStartingWith("TF_CONFIG ")
			.withMessageContaining(problem)
			.withMessageContaining("; ")
			.satisfies((ex) -> assertThat(ex.getMessage()).doesNotContain("\n"));
	}

}

package io.calm.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.stream.Stream;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * What came of a command line, in this process.
 *
 * @param exit code
 * @param out what it printed
 * @param err what it complained of
 */
record Invocation(int exit, String out, String err) {

	static Invocation calm(Object... args) {
		StringWriter out = new StringWriter();
		StringWriter err = new StringWriter();
		int exit = CalmCommand.commandLine()
			.setOut(new PrintWriter(out, true))
			.setErr(new PrintWriter(err, true))
			.execute(Stream.of(args).map(Object::toString).toArray(String[]::new));
		return new Invocation(exit, out.toString(), err.toString());
	}

	/** Its report, if it has succeeded. */
	JsonObject json() {
		assertThat(this.exit).as(this.err).isZero();
		return JsonParser.parseString(this.out).getAsJsonObject();
	}

}

package io.calm.cli;

import java.io.PrintWriter;
import java.io.StringWriter;

import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;

class ReportTest {

	private final Report report = new Report()
		.put("ideal", new Report().put("brier", new double[] { 0.5, 0.25 }).put("brierLM", 21.4))
		.put("measured", new Report().put("error", Double.NaN))
		.put("median_ms", 1234.5)
		.put("parameters", 70_000_000L)
		.put("compressed", true)
		.put("sample", "Ünique <b>\nsecond \"line\"");

	@Test
	void json() {
		assertThat(print(true)).isEqualToNormalizingNewlines("""
				{"ideal":{"brier":[0.5,0.25],"brierLM":21.4},"measured":{"error":null},"median_ms":1234.5,\
				"parameters":70000000,"compressed":true,"sample":"Ünique <b>\\nsecond \\"line\\""}
				""");
	}

	@Test
	void forPeople() {
		assertThat(print(false)).isEqualToNormalizingNewlines("""
				ideal
				  brier     0.5000  0.2500
				  brierLM   21.40
				measured
				  error     NaN
				median ms   1235
				parameters  70000000
				compressed  true
				sample      Ünique <b>
				            second "line"
				""");
	}

	@Test
	void nothing() {
		StringWriter out = new StringWriter();
		new Report().print(new PrintWriter(out), false);
		assertThat(out.toString()).isEmpty();
		new Report().print(new PrintWriter(out), true);
		assertThat(out.toString()).isEqualToIgnoringNewLines("{}");
	}

	@Test
	void infinityIsNull() {
		StringWriter out = new StringWriter();
		new Report().put("a", Double.NEGATIVE_INFINITY)
			.put("b", Float.NaN)
			.put("c", new double[] { Double.NaN, 1 })
			.print(new PrintWriter(out), true);
		assertThat(out.toString()).isEqualToIgnoringNewLines("{\"a\":null,\"b\":null,\"c\":[null,1.0]}");
	}

	private String print(boolean json) {
		StringWriter out = new StringWriter();
		this.report.print(new PrintWriter(out), json);
		return out.toString();
	}

}

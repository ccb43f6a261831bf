package io.calm.cli.ablate;

import java.util.List;

import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;

class TableTest {

	private final Table<String> table = new Table<String>().column("name", (row) -> row)
		.column("length", (row) -> Table.number(row.length() / 3.0));

	@Test
	void whatDividesCellsIsQuoted() {
		List<String> rows = List.of("plain", "a, b", "says \"c\"", "x|y");
		assertThat(this.table.csv(rows))
			.isEqualTo("name,length\nplain,1.667\n\"a, b\",1.333\n\"says \"\"c\"\"\",2.667\nx|y,1\n");
		assertThat(this.table.markdown(rows)).isEqualTo("| name | length |\n|---|---|\n| plain | 1.667 |\n"
				+ "| a, b | 1.333 |\n| says \"c\" | 2.667 |\n| x\\|y | 1 |\n");
	}

	@Test
	void numbersAreShort() {
		assertThat(List.of(Table.number(3), Table.number(0.5), Table.number(1.23456e8), Table.number(Double.NaN)))
			.containsExactly("3", "0.5000", "1.23e+08", "");
		assertThat(Table.exact(1.23456e8)).isEqualTo("1.23456E8");
	}

}

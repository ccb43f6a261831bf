package io.calm.training;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import io.calm.cluster.Workers;
import io.calm.input.InvalidInputException;
import io.calm.model.TinyModel;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class ShareTest {

	@ParameterizedTest
	@CsvSource({ "8, 1, 1, 1, 8", "8, 1, 2, 2, 4", "8, 1, 4, 4, 2", "4, 2, 2, 2, 4", "2, 4, 2, 4, 2", "2, 4, 4, 4, 2",
			"3, 2, 2, 2, 3", "4, 2, 4, 4, 2", "4, 3, 2, 6, 2", "2, 4, 1, 4, 2" })
	void workersDoTogetherWhatOneDoes(int batch, int accumulation, int workers, int parts, int rows) {
		try (TokenStore text = TinyModel.text(1)) {
			TokenBlocks blocks = TokenBlocks.shuffled(text, 4, 8, 0, 7);
			for (long step : List.of(1L, 2L, 9L)) {
				List<Share.Part> together = new ArrayList<>();
				for (int worker = 0; worker < workers; worker++) {
					Share share = Share.of(options(batch, accumulation), workers(workers, worker));
					assertThat(share).isEqualTo(new Share(parts, rows, workers, worker));
					assertThat(share.of(blocks, step)).hasSize(parts / workers);
					together.addAll(share.of(blocks, step));
				}
				together.sort((one, other) -> Long.compare(one.number(), other.number()));
				List<Share.Part> alone = Share.of(options(rows, parts), null).of(blocks, step);
				assertThat(together).extracting(Share.Part::number)
					.isEqualTo(alone.stream().map(Share.Part::number).toList());
				assertThat(tokens(together)).isEqualTo(tokens(alone))
					.as("the sequences of the whole step")
					.isEqualTo(tokens(Share.of(options(batch, accumulation), null).of(blocks, step)));
			}
		}
	}

	private static int[] tokens(List<Share.Part> parts) {
		return parts.stream().flatMapToInt((part) -> Arrays.stream(part.batch().tokens())).toArray();
	}

	@Test
	void refusesABatchThatCannotBeShared() {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> Share.of(options(3, 1), workers(2, 0)))
			.withMessage("training, batch is 3, which 2 workers cannot share out;"
					+ " choose a multiple of 2, or an accumulation that is a multiple of 2");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> Share.of(options(3, 2), workers(4, 0)))
			.withMessageContaining("choose a multiple of 2, or an accumulation that is a multiple of 4");
	}

	private static TrainingOptions options(int batch, int accumulation) {
		return TrainingOptions.of((options) -> options.batch(batch).accumulation(accumulation).patches(8));
	}

	private static Workers workers(int count, int index) {
		List<String> addresses = new ArrayList<>();
		for (int i = 0; i < count; i++) {
			addresses.add("host" + i + ":1");
		}
		return new Workers(addresses, index);
	}

}

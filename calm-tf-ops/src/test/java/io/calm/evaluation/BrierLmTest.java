package io.calm.evaluation;

import java.nio.file.Path;
import java.util.Arrays;

import io.calm.generation.GenerationEngine;
import io.calm.input.InvalidInputException;
import io.calm.model.TinyModel;
import io.calm.text.TokenStore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

class BrierLmTest {

	private final Path model;

	BrierLmTest(@TempDir Path directory) {
		this.model = directory.resolve("model");
	}

	/** A model that always draws the same patch c: Brier-n is 2 P(first n of c) - 1. */
	@Test
	void comparesPrefixesOfPatches() {
		TinyModel.write(this.model, TinyModel.autoencoder().build(), 0, 1);
		int[] c;
		try (GenerationEngine engine = GenerationEngine.open(this.model,
				(options) -> options.program(TinyModel.PROGRAM))) {
			c = engine.generate("", (request) -> request.maxNewTokens(4)).iterator().next().tokens();
		}
		// a PAD would be no truth to compare with
		assertThat(c).hasSize(4).doesNotContain(0);
		// the beginning, which is not predicted; patches that agree in 4, 3, 2, 1, 0
		// places; one with PADs, which does not count
		int[] document = new int[26];
		Arrays.fill(document, 0, 4, 1);
		for (int patch = 1; patch <= 5; patch++) {
			System.arraycopy(c, 0, document, patch * 4, 4);
			if (patch > 1) {
				document[patch * 4 + 5 - patch] = (c[5 - patch] == 50) ? 51 : 50;
			}
		}
		Arrays.fill(document, 24, 26, 60);
		try (TokenStore data = TokenStore.of(document, document)) {
			BrierScore score = new BrierLm(7, 2, 0, 1).score(this.model, data, TinyModel.PROGRAM);
			assertThat(score.positions()).isEqualTo(10);
			assertThat(score.brier())
				.containsExactly(new double[] { 2 * 0.8 - 1, 2 * 0.6 - 1, 2 * 0.4 - 1, 2 * 0.2 - 1 }, within(1e-12));
			assertThat(score.brierLm()).isZero();
			// ten estimates of 1 or -1 with the means above: their standard errors, up to
			// the
			// noise of a bootstrap of 1000 replicates
			double large = Math.sqrt((1 - 0.6 * 0.6) / 10);
			double larger = Math.sqrt((1 - 0.2 * 0.2) / 10);
			assertThat(score.brierErrors()).containsExactly(new double[] { large, larger, larger, large },
					within(0.03));
		}
	}

	@Test
	void dependsOnItsSeedOnly() {
		TinyModel.write(this.model, TinyModel.autoencoder().build(), 0.25f, 1);
		try (TokenStore data = TinyModel.text(4)) {
			BrierScore score = score(data, 0, 1);
			assertThat(score(data, 0, 1)).usingRecursiveComparison().isEqualTo(score);
			// with other draws other pairs are equal
			assertThat(score(data, 0, 2).brier()).isNotEqualTo(score.brier());
			assertThat(score.positions()).isGreaterThan(100);
			assertThat(score.brierErrors()[0]).isBetween(1e-6, 0.5);
		}
	}

	@Test
	void scoresNoMoreThanTheLimit() {
		TinyModel.write(this.model, TinyModel.autoencoder().build(), 0.25f, 1);
		try (TokenStore data = TinyModel.text(4)) {
			long all = score(data, 0, 1).positions();
			assertThat(score(data, 7, 1).positions()).isEqualTo(7);
			// in the middle of the second call
			assertThat(score(data, 40, 1).positions()).isEqualTo(40);
			assertThat(score(data, all + 1, 1).positions()).isEqualTo(all);
		}
	}

	@Test
	void refusesPatchesOfFewerThanFourTokens() {
		TinyModel.write(this.model, TinyModel.autoencoder().patchSize(2).build(), 0.25f, 1);
		try (TokenStore data = TinyModel.text(4)) {
			assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> score(data, 0, 1))
				.withMessageContaining(this.model.toString())
				.withMessageContaining("patch size of 2");
		}
	}

	private BrierScore score(TokenStore data, long limit, long seed) {
		return new BrierLm(16, 2, limit, seed).score(this.model, data, TinyModel.PROGRAM);
	}

}

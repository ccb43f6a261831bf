package io.calm.model;

import io.calm.autoencoder.AutoencoderConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

class FlopsTest {

	private static final int VOCABULARY = 128_257;

	private static final int CONTEXT = 2048;

	/** 250 000 steps of 2 million tokens, as the paper trains. */
	private static final double TOKENS = 5e11;

	/** Of the autoencoder: 30 000 steps of 512 thousand tokens. */
	private static final double AUTOENCODER_TOKENS = 1.5e10;

	/** Table 1 of the paper. */
	@ParameterizedTest
	@CsvSource({ "Transformer-S, 6.6e20, 4.4e8", "Transformer-M, 11.9e20, 7.9e8", "Transformer-L, 22.5e20, 15.0e8",
			"CALM-M, 3.7e20, 2.9e8", "CALM-L, 7.7e20, 4.6e8", "CALM-XL, 19.5e20, 9.4e8" })
	void areThoseOfThePaper(String model, double training, double inference) {
		AutoencoderConfig autoencoder = AutoencoderConfig.builder(VOCABULARY).build();
		Flops flops;
		double once = 0;
		if (model.startsWith("CALM")) {
			flops = Flops.of(CalmConfig.preset(model).copySize(0).tokenLoss(0).build(autoencoder), autoencoder,
					CONTEXT);
			once = AUTOENCODER_TOKENS * Flops.of(autoencoder).training();
		}
		else {
			flops = Flops.of(new BaselineConfig(VOCABULARY, BackboneConfig.preset(model).build(), 0, 1, 2), CONTEXT);
		}
		assertThat(TOKENS * flops.training() + once).isCloseTo(training, withinPercentage(5));
		assertThat(flops.inference()).isCloseTo(inference, withinPercentage(5));
	}

	/** Counted by hand for sizes that are all different. */
	@Test
	void countEveryProduct() {
		AutoencoderConfig autoencoder = AutoencoderConfig.builder(7)
			.patchSize(2)
			.hiddenSize(3)
			.intermediateSize(5)
			.latentSize(11)
			.build();
		// encoder: 2 tokens and the patch through 3·3·5, squeeze 2·3·3, 3·22; decoder:
		// 11·3,
		// the same layers, expand, logits 2·3·7
		double encoder = 3 * 45 + 18 + 66;
		double decoder = 33 + 3 * 45 + 18 + 42;
		assertThat(Flops.of(autoencoder)).isEqualTo(new Flops(3 * (encoder + decoder), encoder + decoder));

		CalmConfig energy = tiny().noiseSize(17).samples(2).copySize(0).tokenLoss(0).build(autoencoder);
		// embedding 8·8 + 8·4; attention: 4·4 twice, 4·2 twice, 2·10·4; 3·4·13
		double trunk = 96 + 48 + 80 + 156;
		// noise 17·4, block 5·16, final 16 + 4·11; of the hidden state 16 + 16
		double head = 68 + 80 + 60;
		assertThat(Flops.of(energy, autoencoder, 10))
			.isEqualTo(new Flops(3 * (trunk + 32 + 2 * head) + encoder, trunk + 32 + head + decoder));

		CalmConfig both = tiny().input(ModelInput.BOTH)
			.flowHead((flow) -> flow.samples(2).steps(3))
			.copySize(0)
			.tokenLoss(0)
			.build(autoencoder);
		// 11·8 more; 4·11, block 2·16 + 3·16, final 2·16 + 4·11
		double evaluation = 44 + 80 + 32 + 44;
		assertThat(Flops.of(both, autoencoder, 10))
			.isEqualTo(new Flops(3 * (trunk + 88 + 16 + 2 * evaluation) + encoder,
					trunk + 88 + 16 + 6 * evaluation + decoder + encoder));

		CalmConfig copying = tiny().noiseSize(17).samples(2).copySize(6).leadTokens(0).build(autoencoder);
		// of each of 2 tokens: query 4·6, key 2·3·6, 20 tokens of 6 + 3, joined 3·4
		double copies = 2 * (24 + 36 + 180 + 12);
		// guesses 2·4·3, there and back; logits 2·3·7, whose matrix is frozen
		double guesses = 3 * 24 + 2 * 42;
		assertThat(Flops.of(copying, autoencoder, 10)).isEqualTo(new Flops(
				3 * (trunk + copies + 32 + 2 * head) + guesses + encoder, trunk + copies + 32 + head + decoder));

		CalmConfig leading = tiny().noiseSize(17)
			.samples(2)
			.copySize(0)
			.leadTokens(1)
			.guessedTokens(1)
			.build(autoencoder);
		// given as 3; logits 3·7; drawing guesses one of two, and the decoder has one
		// less
		// to do: a layer of 45 and 3·7
		double given = 3 * 4;
		assertThat(Flops.of(leading, autoencoder, 10))
			.isEqualTo(new Flops(3 * (trunk + 32 + 2 * head + given + 24) + 2 * 21 + encoder,
					trunk + 32 + head + given + 12 + 21 + decoder - 45 - 21));

		CalmConfig seldom = tiny().noiseSize(17).samples(2).copySize(6).leadTokens(0).vectorEvery(4).build(autoencoder);
		// joined, the head and the encoder once in four sequences
		double joined = 2 * 12;
		assertThat(Flops.of(seldom, autoencoder, 10))
			.isEqualTo(new Flops(3 * (trunk + copies - joined) + (3 * (joined + 32 + 2 * head) + encoder) / 4 + guesses,
					trunk + copies + 32 + head + decoder));
	}

	private static CalmConfig.Builder tiny() {
		return CalmConfig.preset("nano")
			.hiddenSize(4)
			.intermediateSize(13)
			.layers(1)
			.heads(2)
			.keyHeads(1)
			.headBlocks(1);
	}

}

package io.calm.latent;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

import io.calm.Calm;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.text.ByteTokenizer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class LatentEncoderTest {

	private static final int K = 4;

	private static final String TEXT = "One fish. Two fish. Red fish. Blue fish.\n";

	private static Path model = Path.of("");

	private static LatentEncoder encoder;

	@BeforeAll
	static void train(@TempDir Path directory) throws IOException {
		Path corpus = Files.writeString(directory.resolve("corpus.txt"), TEXT.repeat(50));
		model = directory.resolve("model");
		Calm.train((training) -> training.corpus(corpus)
			.tokenizer(new ByteTokenizer())
			.autoencoder((shape) -> shape.patchSize(K).hiddenSize(32).latentSize(16).layers(2).dropout(0),
					(options) -> options.steps(150).batch(4).patches(16).learningRate(5e-3))
			.languageModel("nano", (shape) -> shape.hiddenSize(32).layers(1).heads(2).noiseSize(8).targets(4),
					(options) -> options.steps(1).batch(2).patches(8))
			.program(ProgramOptions.DEFAULT)
			.output(model)).close();
		encoder = LatentEncoder.open(model, ProgramOptions.DEFAULT);
	}

	@AfterAll
	static void close() {
		encoder.close();
	}

	@Test
	void eachPatchHasItsPosterior() {
		Latents latents = encoder.encode("Two fish");
		assertThat(latents.patches()).isEqualTo(2);
		assertThat(latents.tokens()).hasSize(2 * K);
		assertThat(latents.means()).allSatisfy((mean) -> assertThat(mean).hasSize(encoder.latentSize()));
		assertThat(latents.deviations()).allSatisfy((deviation) -> {
			for (float each : deviation) {
				assertThat(each).isPositive();
			}
		});
		// a patch knows nothing of the others
		assertThat(encoder.encode(" fish").means().get(1)).containsExactly(encoder.encode("zzzzfish").means().get(1));
	}

	/** More than one call takes. */
	@Test
	void aLongTextIsEncodedInBlocks() {
		String text = "Two Red ".repeat(100);
		Latents latents = encoder.encode(text);
		assertThat(latents.patches()).isEqualTo(200);
		assertThat(latents.means().get(150)).containsExactly(encoder.encode("Two ").means().get(0));
		assertThat(latents.means().get(199)).containsExactly(encoder.encode("Red ").means().get(0));
		assertThat(encoder.reconstruct(text).text()).hasSize(text.length());
	}

	@Test
	void whatItKnowsComesBack() {
		Reconstruction known = encoder.reconstruct(TEXT);
		assertThat(known.accuracy()).isEqualTo(1);
		assertThat(known.text()).isEqualTo(TEXT);
		assertThat(known.differences()).isEmpty();
	}

	@Test
	void whatItDoesNotKnowIsNamed() {
		Reconstruction unknown = encoder.reconstruct("Two qXzJ");
		assertThat(unknown.tokens()).isEqualTo(8);
		assertThat(unknown.differences()).isNotEmpty().allSatisfy((each) -> {
			assertThat("Two qXzJ".substring(each.position(), each.position() + 1)).isEqualTo(each.token());
			assertThat(each.restored()).isNotEqualTo(each.token());
		});
		assertThat(unknown.accuracy()).isEqualTo(1 - unknown.differences().size() / 8.0);
	}

	@Test
	void paddingStandsBeforeTheText() {
		int pad = new ByteTokenizer().padId();
		Latents latents = encoder.encode("e fish");
		assertThat(latents.tokens()).startsWith(pad, pad);
		assertThat(encoder.texts(latents)).containsExactly("e ", "fish");
		assertThat(encoder.reconstruct("e fish").tokens()).isEqualTo(6);
	}

	@Test
	void theEmptyTextHasNone() {
		assertThat(encoder.encode("").patches()).isZero();
		assertThat(encoder.encode("").centre()).isEmpty();
		assertThat(encoder.reconstruct("")).isEqualTo(new Reconstruction(0, "", List.of()));
	}

	@Test
	void theCentreOfATextIsNearThatOfOneLikeIt() {
		float[] red = encoder.encode("Red fish").centre();
		assertThat(product(red, red)).isCloseTo(1, org.assertj.core.data.Offset.offset(1e-5));
		assertThat(product(red, encoder.encode("Red fish").centre()))
			.isGreaterThan(product(red, encoder.encode("One fish").centre()));
	}

	private static double product(float[] some, float[] others) {
		double sum = 0;
		for (int i = 0; i < some.length; i++) {
			sum += (double) some[i] * others[i];
		}
		return sum;
	}

	@Test
	void aBaselineHasNone(@TempDir Path directory) throws IOException {
		Path corpus = Files.writeString(directory.resolve("corpus.txt"), TEXT.repeat(50));
		Path baseline = directory.resolve("baseline");
		Calm.train((training) -> training.corpus(corpus)
			.tokenizer(new ByteTokenizer())
			.baseline("nano", (shape) -> shape.hiddenSize(32).layers(1).heads(2),
					(options) -> options.steps(1).batch(2).patches(32))
			.program(ProgramOptions.DEFAULT)
			.output(baseline)).close();
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> LatentEncoder.open(baseline, ProgramOptions.DEFAULT))
			.withMessageContaining("is a baseline, which has no latent vectors");
	}

}

package io.calm.examples.finetune;

import java.nio.file.Path;
import java.util.List;

import io.calm.graph.Device;
import io.calm.graph.Precision;
import io.calm.training.TrainingOptions;
import jakarta.validation.Valid;
import jakarta.validation.constraints.DecimalMax;
import jakarta.validation.constraints.DecimalMin;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotEmpty;
import jakarta.validation.constraints.Pattern;
import org.jspecify.annotations.Nullable;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.validation.annotation.Validated;

/**
 * The properties {@code finetune.*}.
 *
 * @param base directory of the model to begin with
 * @param corpus text to train on: {@code .txt}, {@code .jsonl}, both also as {@code .gz}
 * or {@code .zst}, {@code .parquet}, or directories of them; generated support tickets by
 * default
 * @param categories whether the generated tickets are prompts whose answers are their
 * categories, instead of text
 * @param heldOut text of the same kind that is not trained on, to score the models on
 * @param jsonField the field of {@code .jsonl} that holds the text
 * @param output the model directory to write
 * @param steps steps of the language model, unless it stops early
 * @param learningRate its greatest learning rate
 * @param warmup steps over which the learning rate rises
 * @param batch sequences per step
 * @param patches patches per sequence, also where the models are scored
 * @param averaging decay of the running average of the weights, which is what is used
 * @param evaluateEvery steps between evaluations, each with a checkpoint
 * @param patience evaluations without a better BrierLM after which the training stops; 0
 * trains to the end and keeps the last model
 * @param seed of everything random
 * @param autoencoder how the autoencoder is trained on before the language model
 * @param prompts beginnings that base and result go on with
 * @param sample how they go on
 * @param registerAs name under which the result is registered in MLflow; not at all by
 * default
 * @param alias names the registered version
 * @param device where it computes
 * @param precision number format of matrix products
 * @param fused whether XLA compiles the element-wise work: some seconds that pay in a
 * training of minutes
 */
@Validated
@ConfigurationProperties("finetune")
record FineTuneProperties(@DefaultValue("quickstart-model") Path base, @DefaultValue List<Path> corpus,
		@DefaultValue("false") boolean categories, @DefaultValue List<Path> heldOut,
		@DefaultValue("text") @NotEmpty String jsonField, @DefaultValue("fine-tuned-model") Path output,
		@Min(1) @DefaultValue("1000") long steps,
		@DecimalMin(value = "0", inclusive = false) @DefaultValue("0.001") double learningRate,
		@Min(0) @DefaultValue("50") long warmup, @Min(1) @DefaultValue("8") int batch,
		@Min(2) @DefaultValue("64") int patches,
		@DecimalMin("0") @DecimalMax(value = "1", inclusive = false) @DefaultValue("0.99") double averaging,
		@Min(1) @DefaultValue("100") long evaluateEvery, @Min(0) @DefaultValue("3") int patience,
		@DefaultValue("1") long seed, @Valid @DefaultValue AutoencoderTraining autoencoder, @DefaultValue( {
				"Hello, I bought a Norvik printer",
				"Support: Thank you for your message." }) List<@NotEmpty String> prompts,
		@Valid @DefaultValue Sample sample,
		@Nullable @Pattern(regexp = "[^/:@]+", message = "must be without slash, colon and at sign") String registerAs,
		@Nullable String alias, @DefaultValue("auto") Device device, @DefaultValue("fp32") Precision precision,
		@DefaultValue("true") boolean fused){

	/**
	 * How the autoencoder is trained on.
	 *
	 * @param steps 0 leaves it as it is, which is right where the new text has the same
	 * tokens in the same patches
	 * @param learningRate its greatest learning rate
	 */
	record AutoencoderTraining(@Min(0) @DefaultValue("500") long steps,
			@DecimalMin(value = "0", inclusive = false) @DefaultValue("0.001") double learningRate) {
	}

	/**
	 * How models go on with a prompt.
	 *
	 * @param temperature the lower, the more likely the text
	 * @param maxNewTokens greatest number of new tokens
	 */
	record Sample(@DecimalMin(value = "0", inclusive = false) @DecimalMax("1") @DefaultValue("0.5") double temperature,
			@Min(1) @DefaultValue("60") int maxNewTokens) {
	}

	void autoencoder(TrainingOptions.Builder options) {
		options.steps(this.autoencoder.steps())
			.learningRate(this.autoencoder.learningRate())
			.warmup(this.warmup)
			.batch(this.batch)
			.patches(this.patches)
			.evaluateEvery(this.autoencoder.steps())
			.checkpointEvery(this.evaluateEvery)
			.seed(this.seed);
	}

	void languageModel(TrainingOptions.Builder options) {
		options.steps(this.steps)
			.learningRate(this.learningRate)
			.warmup(this.warmup)
			.batch(this.batch)
			.patches(this.patches)
			.averaging(this.averaging)
			.evaluateEvery(this.evaluateEvery)
			.patience(this.patience)
			.seed(this.seed);
	}

}

package io.calm.spring;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;

import io.calm.generation.EngineOptions;
import io.calm.generation.GenerationRequest;
import io.calm.graph.Device;
import io.calm.graph.Precision;
import io.calm.graph.ProgramOptions;
import jakarta.validation.Valid;
import jakarta.validation.constraints.DecimalMax;
import jakarta.validation.constraints.DecimalMin;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotEmpty;
import org.jspecify.annotations.Nullable;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.validation.annotation.Validated;

/**
 * The properties {@code calm.*}.
 *
 * @param model which model, and when it is opened
 * @param engine how large the engine is and where it computes
 * @param generation what a request that says nothing else gets
 * @param observations what observations may show
 */
@Validated
@ConfigurationProperties("calm")
public record CalmProperties(@Valid @DefaultValue Model model, @Valid @DefaultValue Engine engine,
		@Valid @DefaultValue Generation generation, @Valid @DefaultValue Observations observations) {

	/**
	 * When the model is opened.
	 */
	public enum Loading {

		/** While the application starts, which fails if the model cannot be used. */
		EAGER,
		/**
		 * Beside the start of the application, which is ready (in the sense of its
		 * availability) only when the model is usable.
		 */
		BACKGROUND,
		/** With the first request. */
		LAZY

	}

	/**
	 * Which model, and when it is opened.
	 *
	 * @param enabled Whether a model is opened at all. An application that only trains
	 * switches it off.
	 * @param location Model directory: a path, file:… or classpath:…; hf:OWNER/NAME of a
	 * hub; models:/name@alias with calm-mlflow; or what a ModelResolver bean knows.
	 * @param autoencoder Where the autoencoder of a model from a hub is, as
	 * hf:OWNER/NAME. By default, it comes with the model.
	 * @param tokenizer Where the tokenizer of a model from a hub is, as hf:OWNER/NAME. By
	 * default, it comes with the model.
	 * @param name Name of the model in metrics, health and chat responses. By default,
	 * the last part of the location.
	 * @param loading Whether the model is opened while the application starts, beside
	 * that in the background, or with the first request.
	 * @param warmUp Whether a newly opened model generates one patch before it gets
	 * requests, so that the first of them is not slow.
	 * @param watch How often the location is asked whether it leads to another version,
	 * such as models:/name@alias when the alias was moved; that one is then opened, and
	 * takes the place of the old one without a gap. By default, never.
	 */
	public record Model(@DefaultValue("true") boolean enabled, @Nullable String location, @Nullable String autoencoder,
			@Nullable String tokenizer, @Nullable String name, @DefaultValue("eager") Loading loading,
			@DefaultValue("true") boolean warmUp, @Nullable Duration watch) {
	}

	/**
	 * How large the engine is and where it computes.
	 *
	 * @param slots Texts that are generated side by side.
	 * @param queue Requests that may wait for a slot; more are refused.
	 * @param context Longest text in patches, prompt included; at most the model's own.
	 * @param buffer Chunks that a text may be ahead of its reader; then it waits.
	 * @param readerTimeout How long a text waits for its reader, once it is a whole
	 * buffer ahead of him; then it ends with an error and another text gets its slot.
	 * @param device Where the model computes: on a GPU if there is one (auto), on the
	 * CPU, or on a GPU and nowhere else.
	 * @param precision Number format of matrix products: bf16 on a CPU with instructions
	 * for it, otherwise fp32 (auto), or one of them everywhere.
	 * @param fused Whether XLA compiles the element-wise work: faster on a CPU, after
	 * some seconds of compilation.
	 * @param drainTimeout How long the texts of the old model may continue after another
	 * one was loaded in its place; then they end with an error.
	 */
	public record Engine(@Min(1) @DefaultValue("4") int slots, @Min(1) @DefaultValue("64") int queue,
			@Min(2) @DefaultValue("512") int context, @Min(1) @DefaultValue("64") int buffer,
			@DefaultValue("5m") Duration readerTimeout, @DefaultValue("auto") Device device,
			@DefaultValue("auto") Precision precision, @DefaultValue("false") boolean fused,
			@DefaultValue("10m") Duration drainTimeout) {

		void applyTo(EngineOptions.Builder options) {
			options.slots(this.slots)
				.queue(this.queue)
				.context(this.context)
				.buffer(this.buffer)
				.readerTimeout(this.readerTimeout)
				.program(new ProgramOptions(this.device, this.precision, this.fused));
		}

	}

	/**
	 * What a request that says nothing else gets.
	 *
	 * @param maxNewTokens Greatest number of new tokens.
	 * @param temperature The lower, the more likely the text; greater than 0, at most 1.
	 * @param candidates Patches drawn, of which the batch sampler chooses one.
	 * @param exact Whether patches are drawn exactly from the tempered distribution
	 * instead of approximately from the candidates.
	 * @param seed Seed of the draws: with it, the same request gives the same text. By
	 * default, every request has its own.
	 * @param stop Strings that end the text before them.
	 * @param deadline How long a request may wait and run. By default, for ever.
	 */
	public record Generation(@Min(1) @DefaultValue("128") int maxNewTokens,
			@DecimalMin(value = "0", inclusive = false) @DecimalMax("1") @DefaultValue("1.0") double temperature,
			@Min(1) @Max(10_000) @DefaultValue("200") int candidates, @DefaultValue("false") boolean exact,
			@Nullable Long seed, @DefaultValue List<@NotEmpty String> stop, @Nullable Duration deadline) {

		void applyTo(GenerationRequest.Builder request) {
			request.maxNewTokens(this.maxNewTokens)
				.temperature(this.temperature)
				.candidates(this.candidates)
				.exact(this.exact)
				.seed((this.seed != null) ? this.seed : ThreadLocalRandom.current().nextLong())
				.stop(this.stop.toArray(String[]::new));
			if (this.deadline != null) {
				request.deadline(this.deadline);
			}
		}

	}

	/**
	 * What observations may show.
	 *
	 * @param includePrompt Whether spans carry the prompt. Prompts are private: switch it
	 * on only where everyone who sees the traces may read them.
	 * @param includeCompletion Whether spans carry the generated text.
	 * @param springAiNames Whether metrics and spans have the older names that Spring AI
	 * uses, without histograms, instead of those of OpenTelemetry's conventions: for an
	 * application with other models of Spring AI, or dashboards for them.
	 */
	public record Observations(@DefaultValue("false") boolean includePrompt,
			@DefaultValue("false") boolean includeCompletion, @DefaultValue("false") boolean springAiNames) {
	}

}

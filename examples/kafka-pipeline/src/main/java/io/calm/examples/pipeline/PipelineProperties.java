package io.calm.examples.pipeline;

import java.util.Map;
import java.util.Set;

import io.calm.graph.ProgramOptions;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * The properties {@code calm.pipeline.*}; their defaults are in
 * {@code application.properties}.
 *
 * @param models Model directories by the name that the page shows. By default, that of
 * calm.model.location.
 * @param products Topic of the product descriptions.
 * @param stories Topic of the results.
 * @param hosts Names by which the page may be called, beside localhost, 127.0.0.1, [::1]
 * and server.address.
 * @param directory Where the model is looked for, and made, if none is configured: the
 * working directory by default.
 * @param training How that model is made.
 * @param untrained Whether it has yet to be made. Set by the application itself.
 * @param ownBroker Whether the broker is in this process, and so empty at the start. Set
 * by the application itself.
 */
@ConfigurationProperties("calm.pipeline")
record PipelineProperties(@DefaultValue Map<String, String> models, String products, String stories,
		@DefaultValue Set<String> hosts, @DefaultValue("") String directory, @DefaultValue Training training,
		@DefaultValue("false") boolean untrained, @DefaultValue("false") boolean ownBroker) {

	/**
	 * The training of a model that tells stories.
	 *
	 * @param corpusBytes Size of the made-up stories that it reads.
	 * @param vocabulary Tokens of its tokenizer.
	 * @param autoencoderSteps Steps of the autoencoder.
	 * @param steps Steps of the language model.
	 * @param fused Whether element-wise work is compiled: faster, but it begins later.
	 */
	record Training(@DefaultValue("2097152") int corpusBytes, @DefaultValue("1024") int vocabulary,
			@DefaultValue("500") long autoencoderSteps, @DefaultValue("900") long steps,
			@DefaultValue("true") boolean fused) {

		StoryModel model() {
			return new StoryModel(this.corpusBytes, this.vocabulary, this.autoencoderSteps, this.steps,
					ProgramOptions.DEFAULT.withFusion(this.fused));
		}

	}

}

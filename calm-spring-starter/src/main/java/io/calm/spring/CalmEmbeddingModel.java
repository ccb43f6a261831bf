package io.calm.spring;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import io.calm.input.InvalidInputException;

import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.Embedding;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.embedding.EmbeddingOptions;
import org.springframework.ai.embedding.EmbeddingRequest;
import org.springframework.ai.embedding.EmbeddingResponse;
import org.springframework.ai.embedding.EmbeddingResponseMetadata;

/**
 * The model as an {@link EmbeddingModel} of Spring AI: the mean of a text's latent
 * vectors, of length 1. Texts are near each other that share words and phrases, rather
 * than a meaning. Where the model's location has versions, a response says under
 * {@code version} in its metadata whose vectors they are: those of different versions
 * cannot be compared.
 */
public final class CalmEmbeddingModel implements EmbeddingModel {

	private final ServedModel model;

	/**
	 * Makes an embedding model of a CALM model.
	 * @param model whose autoencoder encodes the texts
	 */
	public CalmEmbeddingModel(ServedModel model) {
		this.model = model;
	}

	/**
	 * Encodes texts.
	 * @throws InvalidInputException if a text is empty, the options ask for another
	 * number of dimensions, or the model has no autoencoder
	 */
	@Override
	public EmbeddingResponse call(EmbeddingRequest request) {
		List<String> texts = request.getInstructions();
		if (texts.stream().anyMatch(String::isEmpty)) {
			throw new InvalidInputException("texts", "one of them is empty", "leave it out");
		}
		EmbeddingOptions options = request.getOptions();
		Integer wanted = (options != null) ? options.getDimensions() : null;
		if (wanted != null && wanted != dimensions()) {
			throw new InvalidInputException("dimensions", "is " + wanted,
					"leave it out: the model's vectors have " + dimensions());
		}
		TextVectors encoded = this.model.embed(texts);
		List<Embedding> embeddings = new ArrayList<>();
		encoded.vectors().forEach((vector) -> embeddings.add(new Embedding(vector, embeddings.size())));
		String version = encoded.model().version();
		return new EmbeddingResponse(embeddings, new EmbeddingResponseMetadata(encoded.model().name(),
				new DefaultUsage(encoded.tokens(), 0), (version != null) ? Map.of("version", version) : Map.of()));
	}

	@Override
	public float[] embed(Document document) {
		return embed(Objects.requireNonNullElse(getEmbeddingContent(document), ""));
	}

	@Override
	public int dimensions() {
		return this.model.latentSize();
	}

}

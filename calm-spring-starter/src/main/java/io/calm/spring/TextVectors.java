package io.calm.spring;

import java.util.List;

/**
 * Texts as vectors of one model. Vectors of different models, or of different versions of
 * a model, cannot be compared.
 *
 * @param model that they are of
 * @param vectors one of length 1 for each text: see {@link io.calm.latent.Latents#centre}
 * @param tokens of all texts together
 */
public record TextVectors(ModelVersion model, List<float[]> vectors, int tokens) {
}

package io.calm.cli.ablate;

import java.util.function.Consumer;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.model.BackboneConfig;
import io.calm.model.CalmConfig;

/**
 * One model of a study: what distinguishes it from the others.
 *
 * @param name unique in its study
 * @param baseline whether it is a baseline Transformer, which has no autoencoder
 * @param autoencoder sets what is different about the autoencoder
 * @param model sets what is different about the language model
 * @param backbone likewise of a baseline
 */
record Arm(String name, boolean baseline, Consumer<AutoencoderConfig.Builder> autoencoder,
		Consumer<CalmConfig.Builder> model, Consumer<BackboneConfig.Builder> backbone) {

	static Arm ofAutoencoder(String name, Consumer<AutoencoderConfig.Builder> autoencoder) {
		return new Arm(name, false, autoencoder, Arm::nothing, Arm::nothing);
	}

	static Arm ofModel(String name, Consumer<CalmConfig.Builder> model) {
		return new Arm(name, false, Arm::nothing, model, Arm::nothing);
	}

	static Arm ofBaseline(String name, Consumer<BackboneConfig.Builder> backbone) {
		return new Arm(name, true, Arm::nothing, Arm::nothing, backbone);
	}

	static Arm ofBaseline() {
		return ofBaseline("baseline", Arm::nothing);
	}

	static <T> void nothing(T builder) {
	}

	/** Its name as that of a file. */
	String fileName() {
		return this.name.replaceAll("[^A-Za-z0-9.]+", "-");
	}

}

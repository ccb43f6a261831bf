package io.calm;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

import io.calm.autoencoder.Autoencoder;
import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Device;
import io.calm.graph.Precision;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.hub.Hub;
import io.calm.hub.ModelName;
import io.calm.input.InvalidInputException;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelFiles;
import io.calm.model.ModelKind;
import io.calm.text.Tokenizer;
import org.jspecify.annotations.Nullable;

/**
 * What is fetched from a hub: a model, whose autoencoder and tokenizer may be in
 * repositories of their own.
 */
public final class CalmPull {

	private static final ProgramOptions DECLARED = new ProgramOptions(Device.CPU, Precision.FP32, false);

	private static final String INSIDE = ModelFiles.AUTOENCODER + "/";

	private final ModelName model;

	private @Nullable ModelName autoencoder;

	private @Nullable ModelName tokenizer;

	private List<String> more = List.of();

	private Hub.Progress progress = (file, bytes, size) -> {
	};

	private @Nullable Hub hub;

	CalmPull(String model) {
		this.model = ModelName.of(model);
	}

	/**
	 * Takes the autoencoder from another repository.
	 * @param name {@code hf:OWNER/NAME} or {@code hf:OWNER/NAME@REVISION}; by default,
	 * the model's own
	 * @return this
	 * @throws InvalidInputException if it is no name
	 */
	public CalmPull autoencoder(String name) {
		this.autoencoder = ModelName.of(name);
		return this;
	}

	/**
	 * Takes the tokenizer from another repository, and nothing else of that.
	 * @param name {@code hf:OWNER/NAME} or {@code hf:OWNER/NAME@REVISION}; by default,
	 * the model's own
	 * @return this
	 * @throws InvalidInputException if it is no name
	 */
	public CalmPull tokenizer(String name) {
		this.tokenizer = ModelName.of(name);
		return this;
	}

	/**
	 * Fetches further files. Without this, only {@code .json} and {@code .safetensors}
	 * are fetched.
	 * @param files by their names in the model directory, such as
	 * {@code pytorch_model.bin} or {@code autoencoder/pytorch_model.bin}
	 * @return this
	 */
	public CalmPull include(List<String> files) {
		this.more = List.copyOf(files);
		return this;
	}

	/**
	 * Reports the progress of the downloads.
	 * @param progress is told of it; nobody by default
	 * @return this
	 */
	public CalmPull progress(Hub.Progress progress) {
		this.progress = progress;
		return this;
	}

	/**
	 * Asks this hub.
	 * @param hub by default, {@link Hub#ofEnvironment()}
	 * @return this
	 */
	public CalmPull hub(Hub hub) {
		this.hub = hub;
		return this;
	}

	/** The small and the refused first. */
	Path run() {
		Hub hub = Objects.requireNonNullElseGet(this.hub, Hub::ofEnvironment);
		Path tokenizer = (this.tokenizer != null) ? hub.pullTokenizer(this.tokenizer, this.progress) : null;
		List<String> ofModel = new ArrayList<>(this.more);
		Path autoencoder = null;
		if (this.autoencoder != null) {
			List<String> inside = this.more.stream().filter((name) -> name.startsWith(INSIDE)).toList();
			ofModel.removeAll(inside);
			autoencoder = hub.pull(this.autoencoder,
					inside.stream().map((name) -> name.substring(INSIDE.length())).toList(), this.progress);
			checkAutoencoder(this.autoencoder, autoencoder);
		}
		Path model = hub.pull(this.model, ofModel, this.progress);
		if (autoencoder == null && tokenizer == null) {
			return model;
		}
		checkTogether(model, autoencoder, tokenizer);
		return Hub.putTogether(model, autoencoder, tokenizer, this.more);
	}

	private static void checkAutoencoder(ModelName name, Path directory) {
		ModelDirectory model = ModelDirectory.open(directory);
		try (TensorFile weights = model.weights(); ProgramBuilder builder = ProgramBuilder.ofKeptWeights(DECLARED)) {
			if (ModelKind.of(directory, weights) != ModelKind.AUTOENCODER) {
				throw new InvalidInputException(name.toString(), "is no autoencoder",
						"name the repository of the autoencoder that the model was trained with");
			}
			new Autoencoder(builder.network(), "", ModelConfigs.autoencoder(model));
			ModelFiles.check(builder.network().variables().select((variable) -> true), directory, weights);
		}
		catch (InvalidInputException ex) {
			throw ex.in(name.toString());
		}
	}

	/** So that they are never put together if they do not fit. */
	private void checkTogether(Path directory, @Nullable Path autoencoder, @Nullable Path tokenizer) {
		ModelDirectory model = ModelDirectory.open(directory);
		try (TensorFile weights = model.weights(); ProgramBuilder builder = ProgramBuilder.ofKeptWeights(DECLARED)) {
			if (autoencoder == null && !ModelKind.of(directory, weights).isCalm()) {
				return;
			}
			CalmConfig config = ModelConfigs.calm(model, weights);
			AutoencoderConfig shape = (autoencoder != null) ? ModelConfigs.autoencoder(ModelDirectory.open(autoencoder))
					: ModelConfigs.autoencoderOf(model, weights);
			new CalmNetwork(builder.network(), config, shape);
			ModelFiles.check(builder.network().variables().select((variable) -> true), directory, weights);
			if (tokenizer != null) {
				try (Tokenizer tokens = Tokenizer.load(tokenizer)) {
					ModelConfigs.checkVocabulary(model, tokens.vocabularySize());
				}
			}
		}
		catch (InvalidInputException ex) {
			throw ex.in(this.model.toString());
		}
	}

}

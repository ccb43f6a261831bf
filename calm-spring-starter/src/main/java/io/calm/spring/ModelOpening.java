package io.calm.spring;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;

import io.calm.generation.GenerationEngine;
import io.calm.generation.GenerationRequest;
import io.calm.graph.Device;
import io.calm.graph.Precision;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.latent.LatentEncoder;
import io.calm.text.ChatTemplate;
import org.jspecify.annotations.Nullable;

/**
 * From a location to an engine that has generated its first patch. What goes wrong names
 * the property that it is about.
 */
final class ModelOpening implements Function<String, ServedModel.Opened> {

	private final CalmProperties properties;

	private final List<ModelResolver> resolvers;

	private final List<EngineOptionsCustomizer> customizers;

	ModelOpening(CalmProperties properties, List<ModelResolver> resolvers, List<EngineOptionsCustomizer> customizers) {
		this.properties = properties;
		this.resolvers = resolvers;
		this.customizers = customizers;
	}

	@Override
	public ServedModel.Opened apply(String location) {
		// loads the native libraries: without them, it is not the location's fault
		Device.CPU.resolve();
		if (this.properties.engine().device() == Device.GPU) {
			try {
				Device.GPU.resolve();
			}
			catch (InvalidInputException ex) {
				throw ex.in("calm.engine.device=gpu");
			}
		}
		try {
			refuseUnusedParts(location);
			String version = version(location);
			Path directory = directory(location);
			for (String now = version(location); !Objects.equals(now, version); now = version(location)) {
				// it has moved meanwhile: which one was found?
				version = now;
				directory = directory(location);
			}
			ChatTemplate template = ChatTemplate.of(directory);
			ChatTemplates.warnIfUnused(template);
			return new ServedModel.Opened(name(location), version, open(directory), encoder(directory), template);
		}
		catch (InvalidInputException ex) {
			throw ex.in("calm.model.location=" + location);
		}
	}

	private GenerationEngine open(Path directory) {
		GenerationEngine engine = GenerationEngine.open(directory, (options) -> {
			this.properties.engine().applyTo(options);
			this.customizers.forEach((each) -> each.customize(options));
		});
		try {
			if (this.properties.model().warmUp()) {
				engine
					.submit(GenerationRequest.of("",
							(request) -> request.candidates(this.properties.generation().candidates()).maxNewTokens(1)))
					.text();
			}
			return engine;
		}
		catch (RuntimeException ex) {
			engine.close();
			throw ex;
		}
	}

	private ModelEncoder encoder(Path directory) {
		// not as precise as is fastest here: vectors that are kept are compared with
		// those
		// of other machines
		ProgramOptions program = new ProgramOptions(this.properties.engine().device(), Precision.FP32, false);
		return new ModelEncoder(() -> LatentEncoder.open(directory, program));
	}

	private void refuseUnusedParts(String location) {
		CalmProperties.Model model = this.properties.model();
		if (!location.startsWith(HubModelResolver.SCHEME)
				&& (model.autoencoder() != null || model.tokenizer() != null)) {
			throw new InvalidInputException(location, "is not fetched from a hub, so that its parts cannot be either",
					"leave calm.model.autoencoder and calm.model.tokenizer out");
		}
	}

	private Path directory(String location) {
		return this.resolvers.stream()
			.map((resolver) -> resolver.resolve(location))
			.filter(Objects::nonNull)
			.findFirst()
			.orElseThrow(() -> new InvalidInputException(location, "is no location that is known here",
					"give a path, file:…, classpath:… or hf:…, set calm.mlflow.tracking-uri (with calm-mlflow) for models:/…, or"
							+ " add a ModelResolver bean that knows it"));
	}

	/** What the location leads to now, if it has versions. */
	@Nullable String version(String location) {
		return this.resolvers.stream()
			.map((resolver) -> resolver.version(location))
			.filter(Objects::nonNull)
			.findFirst()
			.orElse(null);
	}

	/** What stands for the model where its name is shown. */
	String name(String location) {
		String name = this.properties.model().name();
		if (name != null) {
			return name;
		}
		String[] parts = location.split("[/\\\\:]+");
		return (parts.length > 0) ? parts[parts.length - 1] : location;
	}

}

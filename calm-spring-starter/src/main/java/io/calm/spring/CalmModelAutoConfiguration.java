package io.calm.spring;

import java.time.Duration;
import java.util.Objects;
import java.util.function.Consumer;

import io.calm.generation.GenerationEngine;
import io.calm.hub.Hub;
import io.calm.input.InvalidInputException;
import io.micrometer.observation.ObservationRegistry;
import org.jspecify.annotations.Nullable;

import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.ApplicationRunner;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.AnyNestedCondition;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.availability.AvailabilityChangeEvent;
import org.springframework.boot.availability.LivenessState;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.core.annotation.Order;
import org.springframework.core.io.ResourceLoader;
import org.springframework.util.StringUtils;

/**
 * The model: opened from {@code calm.model.location}, or the application's own
 * {@link GenerationEngine}.
 */
@AutoConfiguration
@ConditionalOnBooleanProperty(name = "calm.model.enabled", matchIfMissing = true)
@EnableConfigurationProperties(CalmProperties.class)
public final class CalmModelAutoConfiguration {

	CalmModelAutoConfiguration() {
	}

	@Bean
	ResourceModelResolver calmResourceModelResolver(ResourceLoader resources) {
		return new ResourceModelResolver(resources);
	}

	@Bean
	HubModelResolver calmHubModelResolver(CalmProperties properties, ObjectProvider<Hub> hub) {
		return new HubModelResolver(properties.model(), () -> hub.getIfAvailable(Hub::ofEnvironment));
	}

	@Bean
	@Conditional(OnModelNeeded.class)
	ModelOpening calmModelOpening(CalmProperties properties, ObjectProvider<ModelResolver> resolvers,
			ObjectProvider<EngineOptionsCustomizer> customizers) {
		return new ModelOpening(properties, resolvers.orderedStream().toList(), customizers.orderedStream().toList());
	}

	@Bean
	@Conditional(OnModelNeeded.class)
	ServedModel calmServedModel(CalmProperties properties, ObjectProvider<GenerationEngine> engine,
			ModelOpening opening, ApplicationContext context, ObjectProvider<ObservationRegistry> registry) {
		Duration drainTimeout = properties.engine().drainTimeout();
		// an engine that has failed does not come back by itself
		Consumer<LivenessState> liveness = (state) -> AvailabilityChangeEvent.publish(context, state);
		EmbeddingObservations observations = new EmbeddingObservations(
				registry.getIfUnique(() -> ObservationRegistry.NOOP), properties.observations().springAiNames());
		GenerationEngine own = engine.getIfAvailable();
		ServedModel model;
		if (own != null) {
			model = ServedModel.of(own, Objects.requireNonNullElse(properties.model().name(), "calm"), opening,
					drainTimeout, liveness, observations);
		}
		else {
			String location = location(properties.model().location());
			model = ServedModel.at(location, opening.name(location), opening, drainTimeout, liveness, observations);
		}
		switch (properties.model().loading()) {
			case EAGER -> openNow(model);
			case BACKGROUND -> model.open();
			case LAZY -> {
				// with the first request
			}
		}
		return model;
	}

	/** Closed before the model, which it needs. */
	@Bean
	@ConditionalOnBean(ServedModel.class)
	@ConditionalOnProperty("calm.model.watch")
	ModelWatch calmModelWatch(CalmProperties properties, ServedModel model, ModelOpening opening) {
		String location = location(properties.model().location());
		Duration interval = Objects.requireNonNull(properties.model().watch());
		return new ModelWatch(model, location, opening::version, interval);
	}

	private static void openNow(ServedModel model) {
		try {
			model.awaitUsable();
		}
		catch (RuntimeException ex) {
			model.close();
			throw ex;
		}
	}

	private static String location(@Nullable String location) {
		if (!StringUtils.hasText(location)) {
			throw new InvalidInputException("calm.model.location", "is not set, so there is no model to open",
					"set it to a model directory (file:… or classpath:…), define a GenerationEngine bean,"
							+ " or switch the model off with calm.model.enabled=false");
		}
		return location;
	}

	/**
	 * A text generator of the application's own makes the model superfluous, unless a
	 * location says that there is to be one, perhaps under that generator.
	 */
	static final class OnModelNeeded extends AnyNestedCondition {

		OnModelNeeded() {
			super(ConfigurationPhase.REGISTER_BEAN);
		}

		@ConditionalOnMissingBean(TextGenerator.class)
		static class OnNoGenerator {

		}

		@ConditionalOnProperty("calm.model.location")
		static class OnLocation {

		}

	}

	/**
	 * Runs last, and as long as the model is being opened: an application is ready when
	 * its runners have ended.
	 */
	@Bean
	@Order
	@ConditionalOnProperty(name = "calm.model.loading", havingValue = "background")
	ApplicationRunner calmReadiness(ObjectProvider<ServedModel> model) {
		return (arguments) -> model.ifAvailable(ServedModel::awaitUsable);
	}

}

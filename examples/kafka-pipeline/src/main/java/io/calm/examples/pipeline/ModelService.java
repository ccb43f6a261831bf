package io.calm.examples.pipeline;

import java.util.Map;

import io.calm.generation.EngineStatus;
import io.calm.head.EnergyConfig;
import io.calm.head.FlowConfig;
import io.calm.model.CalmConfig;
import io.calm.model.LanguageModelConfig;
import io.calm.spring.ModelStatus;
import io.calm.spring.ServedModel;
import io.calm.streaming.client.CalmKafkaClient;
import io.calm.streaming.service.StreamingProperties;
import org.jspecify.annotations.Nullable;

import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.context.properties.source.ConfigurationPropertySources;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.boot.health.contributor.Status;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;

/**
 * A streaming generator with its model and its topics, in an application context of its
 * own: what could as well run on another machine.
 *
 * @param name of the model
 * @param location of its directory
 * @param context with the service and its client
 */
record ModelService(String name, String location, AnnotationConfigApplicationContext context) implements AutoCloseable {

	/** Nothing but what the starter and the streaming generator configure. */
	@EnableAutoConfiguration
	static final class Application {

	}

	/**
	 * What a service is doing.
	 *
	 * @param model its name
	 * @param state of the model
	 * @param patchSize K, once the model is open
	 * @param head which generative head it has
	 * @param device where it computes
	 * @param slots texts that it can write at once
	 * @param slotsInUse of these
	 * @param waiting requests that have not got a slot, in the topic or in the service;
	 * -1 if the broker does not say
	 * @param takesRequests whether broker and service are well
	 * @param requests topic of the requests
	 * @param chunks topic of the chunks
	 */
	record State(String model, ModelStatus.State state, @Nullable Integer patchSize, @Nullable String head,
			@Nullable String device, int slots, int slotsInUse, long waiting, boolean takesRequests, String requests,
			String chunks) {
	}

	static ModelService start(String name, String location, String suffix, ConfigurableEnvironment environment) {
		StandardEnvironment own = new StandardEnvironment();
		environment.getPropertySources().forEach((source) -> {
			if (!ConfigurationPropertySources.isAttachedConfigurationPropertySource(source)
					&& !own.getPropertySources().contains(source.getName())) {
				own.getPropertySources().addLast(source);
			}
		});
		own.getPropertySources()
			.addFirst(new MapPropertySource("service",
					Map.of("calm.model.enabled", true, "calm.model.location", location, "calm.model.name", name,
							"calm.streaming.enabled", true, "calm.streaming.group", "calm-generators" + suffix,
							"calm.streaming.topics.requests", "calm.requests" + suffix, "calm.streaming.topics.chunks",
							"calm.chunks" + suffix, "calm.streaming.topics.control", "calm.control" + suffix,
							"calm.streaming.topics.dead-letters", "calm.dead-letters" + suffix)));
		ConfigurationPropertySources.attach(own);
		AnnotationConfigApplicationContext context = new AnnotationConfigApplicationContext();
		context.setId("service" + suffix);
		context.setEnvironment(own);
		context.register(Application.class);
		try {
			context.refresh();
		}
		catch (RuntimeException ex) {
			context.close();
			throw ex;
		}
		return new ModelService(name, location, context);
	}

	CalmKafkaClient client() {
		return this.context.getBean(CalmKafkaClient.class);
	}

	State state() {
		ModelStatus status = this.context.getBean(ServedModel.class).status();
		Health health = this.context.getBean("calmStreamingHealthContributor", HealthIndicator.class).health();
		StreamingProperties.Topics topics = this.context.getBean(StreamingProperties.class).topics();
		LanguageModelConfig config = status.config();
		EngineStatus engine = status.engine();
		int slots = (engine != null) ? engine.slots() : 0;
		int inUse = (engine != null) ? engine.active() : 0;
		return new State(this.name, status.state(), (config != null) ? config.patchSize() : null, head(config),
				(status.device() != null) ? status.device().toString() : null, slots, inUse, waiting(health, inUse),
				health != null && Status.UP.equals(health.getStatus()), topics.requests(), topics.chunks());
	}

	/** Of the requests that have not ended, those without a slot. */
	private static long waiting(@Nullable Health health, int inUse) {
		if (health == null || !(health.getDetails().get("lag") instanceof Map<?, ?> lag)) {
			return -1;
		}
		long notEnded = lag.values().stream().mapToLong((each) -> ((Number) each).longValue()).sum();
		return Math.max(0, notEnded - inUse);
	}

	private static @Nullable String head(@Nullable LanguageModelConfig config) {
		if (config == null) {
			return null;
		}
		if (!(config instanceof CalmConfig calm)) {
			return "none: it predicts single tokens";
		}
		if (calm.head() instanceof EnergyConfig) {
			return "energy";
		}
		return (calm.head() instanceof FlowConfig) ? "flow matching" : "diffusion";
	}

	@Override
	public void close() {
		this.context.close();
	}

}

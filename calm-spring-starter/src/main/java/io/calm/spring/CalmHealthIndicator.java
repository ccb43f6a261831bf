package io.calm.spring;

import io.calm.generation.EngineStatus;
import io.calm.model.LanguageModelConfig;

import org.springframework.boot.health.contributor.AbstractHealthIndicator;
import org.springframework.boot.health.contributor.Health;

/**
 * Whether the model is usable, and how busy it is.
 */
final class CalmHealthIndicator extends AbstractHealthIndicator {

	private final ServedModel model;

	CalmHealthIndicator(ServedModel model) {
		super("The model's health cannot be determined");
		this.model = model;
	}

	@Override
	protected void doHealthCheck(Health.Builder health) {
		ModelStatus status = this.model.status();
		switch (status.state()) {
			case USABLE -> health.up();
			case WAITING -> health.unknown();
			case OPENING, CLOSED -> health.outOfService();
			case FAILED -> health.down();
		}
		health.withDetail("model", status.name()).withDetail("state", status.state());
		if (status.version() != null) {
			health.withDetail("version", status.version());
		}
		LanguageModelConfig config = status.config();
		if (config != null) {
			health.withDetail("patchSize", config.patchSize());
		}
		if (status.device() != null) {
			health.withDetail("device", status.device());
		}
		EngineStatus engine = status.engine();
		if (engine != null) {
			health.withDetail("slots", engine.slots())
				.withDetail("slotsInUse", engine.active())
				.withDetail("waiting", engine.waiting());
		}
		ModelStatus.Failure lastError = status.lastError();
		if (lastError != null) {
			health.withDetail("lastError", lastError.message()).withDetail("lastErrorAt", lastError.at().toString());
		}
	}

}

package io.calm.spring;

import java.util.LinkedHashMap;
import java.util.Map;

import io.calm.model.LanguageModelConfig;

import org.springframework.boot.actuate.info.Info;
import org.springframework.boot.actuate.info.InfoContributor;

/**
 * Which model the application uses.
 */
final class CalmInfoContributor implements InfoContributor {

	private final ServedModel model;

	CalmInfoContributor(ServedModel model) {
		this.model = model;
	}

	@Override
	public void contribute(Info.Builder info) {
		ModelStatus status = this.model.status();
		Map<String, Object> details = new LinkedHashMap<>();
		details.put("model", status.name());
		if (status.version() != null) {
			details.put("version", status.version());
		}
		LanguageModelConfig config = status.config();
		if (config != null) {
			details.put("patchSize", config.patchSize());
			details.put("vocabularySize", config.vocabularySize());
			details.put("layers", config.backbone().layers());
			details.put("hiddenSize", config.backbone().hiddenSize());
			details.put("context", config.backbone().positions());
		}
		info.withDetail("calm", details);
	}

}

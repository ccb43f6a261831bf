package io.calm.examples.pipeline;

import java.util.List;

import org.jspecify.annotations.Nullable;

import org.springframework.boot.kafka.autoconfigure.KafkaConnectionDetails;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/**
 * What the page shows of the services.
 */
@RestController
final class StateController {

	private final ModelServices services;

	private final PipelineProperties properties;

	private final KafkaConnectionDetails kafka;

	private final LiveTraining training;

	StateController(ModelServices services, PipelineProperties properties, KafkaConnectionDetails kafka,
			LiveTraining training) {
		this.training = training;
		this.services = services;
		this.properties = properties;
		this.kafka = kafka;
	}

	/**
	 * The whole.
	 *
	 * @param broker where it is
	 * @param ownBroker whether it is in this process
	 * @param products topic of the products
	 * @param stories topic of the stories
	 * @param models and their services; none while the model is trained
	 * @param training what it has reached; none of a model that was there before
	 */
	record State(String broker, boolean ownBroker, String products, String stories, List<ModelService.State> models,
			LiveTraining.@Nullable State training) {
	}

	@GetMapping("/state")
	State state() {
		return new State(String.join(", ", this.kafka.getBootstrapServers()), this.properties.ownBroker(),
				this.properties.products(), this.properties.stories(),
				this.services.all().stream().map(ModelService::state).toList(), this.training.state());
	}

}

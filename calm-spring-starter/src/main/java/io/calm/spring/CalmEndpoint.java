package io.calm.spring;

import org.jspecify.annotations.Nullable;

import org.springframework.boot.actuate.endpoint.InvalidEndpointRequestException;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.actuate.endpoint.annotation.ReadOperation;
import org.springframework.boot.actuate.endpoint.annotation.WriteOperation;

/**
 * Tells which model the application uses, and opens it again on demand. It takes no
 * location: whoever may call it may not choose what is read.
 */
@Endpoint(id = "calm")
final class CalmEndpoint {

	private final ServedModel model;

	CalmEndpoint(ServedModel model) {
		this.model = model;
	}

	@ReadOperation
	Model model() {
		ModelStatus status = this.model.status();
		return new Model(status.name(), status.version(), status.state(), status.draining());
	}

	@WriteOperation
	Model reload() {
		try {
			this.model.reload();
		}
		catch (RuntimeException ex) {
			throw new InvalidEndpointRequestException("The model stays as it was: " + ex.getMessage(),
					String.valueOf(ex.getMessage()));
		}
		return model();
	}

	/**
	 * The model of the application.
	 *
	 * @param name of the model
	 * @param version of the model, where its location has versions
	 * @param state whether it is usable
	 * @param draining older models whose last texts are being finished
	 */
	record Model(String name, @Nullable String version, ModelStatus.State state, int draining) {
	}

}

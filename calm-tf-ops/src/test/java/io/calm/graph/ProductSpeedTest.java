package io.calm.graph;

import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;

class ProductSpeedTest {

	@Test
	void isMeasuredOnce() {
		ProgramOptions options = ProgramOptions.DEFAULT.withDevice(Device.CPU);
		double speed = ProductSpeed.of(options);
		assertThat(speed).isPositive().isFinite();
		// fusion has nothing to do with products; another measurement would differ
		assertThat(ProductSpeed.of(options.withFusion(true))).isEqualTo(speed);
	}

}

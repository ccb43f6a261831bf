package io.calm.graph;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class DeviceTest {

	@Test
	void aMissingGpuIsAClearError() {
		Assumptions.assumeTrue(Device.AUTO.resolve() == Device.CPU, "there is a GPU");
		ProgramOptions options = ProgramOptions.DEFAULT.withDevice(Device.GPU);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> new ProgramBuilder(options).close())
			.withMessageContaining("TensorFlow finds no GPU on this machine")
			.withMessageContaining("the device cpu or auto");
	}

	@Test
	void autoComputesOnWhatThereIs() {
		assertThat(product(Device.AUTO)).isEqualTo(6);
	}

	@Test
	void cpuIsAlwaysThere() {
		assertThat(Device.CPU.resolve()).isEqualTo(Device.CPU);
		assertThat(product(Device.CPU)).isEqualTo(6);
	}

	private static float product(Device device) {
		try (ProgramBuilder builder = new ProgramBuilder(ProgramOptions.DEFAULT.withDevice(device))) {
			var x = builder.floats();
			Fetch<float[]> product = Fetch
				.floats(builder.network().tf().math.mul(x.value(), builder.network().tf().constant(2f)));
			EntryPoint entryPoint = builder.entryPoint().fetching(product);
			try (Program program = builder.build();
					Call call = program.call(entryPoint).feed(x, new float[] { 3 }).run()) {
				assertThat(program.device()).isEqualTo(device.resolve()).isNotEqualTo(Device.AUTO);
				return call.scalar(product);
			}
		}
	}

}

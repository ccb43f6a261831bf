package io.calm.graph;

import java.util.concurrent.CompletableFuture;

import io.calm.input.InvalidInputException;
import org.slf4j.LoggerFactory;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.GPUOptions;
import org.tensorflow.proto.GraphOptions;
import org.tensorflow.proto.RewriterConfig;

/**
 * Where a program computes.
 */
public enum Device {

	/** A GPU if TensorFlow finds one, else the CPU. */
	AUTO,
	/** The CPU, even where there is a GPU. */
	CPU,
	/** A GPU; a clear error where TensorFlow finds none. */
	GPU;

	/**
	 * Decides between CPU and GPU on this machine.
	 * @return {@link #CPU} or {@link #GPU}
	 * @throws InvalidInputException if a GPU was asked for and TensorFlow finds none
	 */
	public Device resolve() {
		NativeRuntime.load();
		if (this == GPU && !NativeRuntime.hasGpu()) {
			throw new InvalidInputException("device gpu", "TensorFlow finds no GPU on this machine",
					"use the native artifact linux-x86_64-gpu with an NVIDIA driver and CUDA 12, or the device cpu or auto");
		}
		Device device = (this == CPU || !NativeRuntime.hasGpu()) ? CPU : GPU;
		if (this == AUTO) {
			// no constant: loading this type, as an option's, must not start the logging
			LoggerFactory.getLogger(Device.class).info("Computing on the {}", device);
		}
		return device;
	}

	/**
	 * Begins to load TensorFlow's libraries on another thread. That takes a second, in
	 * which other work can be done. If it fails, {@link #resolve()} says why.
	 * @return completes when they are loaded or have failed to; to be waited for, as a
	 * process that ends while it loads a library may crash
	 */
	public static CompletableFuture<Void> prepare() {
		// a thread of its own: those of the common pool may all be waiting for the model
		return CompletableFuture
			.runAsync(NativeRuntime::load, (task) -> new Thread(task, "calm-tensorflow-libraries").start())
			.exceptionally((failure) -> null);
	}

	ConfigProto.Builder config() {
		ConfigProto.Builder config = ConfigProto.newBuilder().setAllowSoftPlacement(true);
		if (this == GPU) {
			config.setGpuOptions(GPUOptions.newBuilder().setAllowGrowth(true));
		}
		else {
			config.putDeviceCount("GPU", 0);
			config.setGraphOptions(GraphOptions.newBuilder().setRewriteOptions(rewriting()));
		}
		return config;
	}

	/**
	 * What TensorFlow's graph optimiser does on a CPU. It takes a good part of the time
	 * to the first step, so what changes nothing is left out.
	 */
	private static RewriterConfig rewriting() {
		return RewriterConfig.newBuilder()
			// it would put x·sigmoid(x) into an operation of oneDNN, which for the few
			// rows
			// of a text takes much longer than two of TensorFlow's own
			.setRemapping(RewriterConfig.Toggle.OFF)
			// of images, of loops, and of what does not fit a GPU's memory
			.setLayoutOptimizer(RewriterConfig.Toggle.OFF)
			.setLoopOptimization(RewriterConfig.Toggle.OFF)
			.setMemoryOptimization(RewriterConfig.MemOptType.NO_MEM_OPT)
			// a second turn removes one node of a hundred
			.setMetaOptimizerIterations(RewriterConfig.NumIterationsType.ONE)
			.build();
	}

}

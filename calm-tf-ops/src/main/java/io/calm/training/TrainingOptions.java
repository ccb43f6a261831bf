package io.calm.training;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;

import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;

/**
 * How long and how to train.
 *
 * @param steps optimiser steps in all
 * @param pauseAfter the step after which the training stops for now, evaluated and saved
 * as at its end; 0 for none. The same training with a later pause, or none, goes on to
 * what it would have become without
 * @param batch sequences per micro-batch, B
 * @param patches patches per sequence, P
 * @param accumulation micro-batches per step
 * @param learningRate how large they are
 * @param backboneRate how much slower the backbone of a language model learns
 * @param averaging decay of the running average of the weights, which is what is saved; 0
 * saves the weights themselves
 * @param checkpointEvery steps between checkpoints; 0 for none but the last
 * @param evaluateEvery steps between evaluations; 0 for none
 * @param patience evaluations in a row without a better score after which the training
 * stops early; then the best model counts, not the last. 0 trains to the end
 * @param seed of first weights, data order and draws
 * @param optimizer constants of AdamW
 */
public record TrainingOptions(long steps, long pauseAfter, int batch, int patches, int accumulation,
		LearningRate learningRate, BackboneRate backboneRate, double averaging, long checkpointEvery,
		long evaluateEvery, int patience, long seed, OptimizerConfig optimizer) {

	/** Refuses numbers that are out of range. */
	public TrainingOptions {
		atLeast("steps", steps, 1);
		atLeast("pause", pauseAfter, 0);
		atLeast("batch", batch, 1);
		atLeast("block", patches, 2);
		atLeast("accumulation", accumulation, 1);
		atLeast("checkpoint interval", checkpointEvery, 0);
		atLeast("evaluation interval", evaluateEvery, 0);
		atLeast("patience", patience, 0);
		if (patience > 0 && evaluateEvery == 0) {
			throw new InvalidInputException("training, patience", "is " + patience + ", but nothing is evaluated",
					"choose an evaluation interval too");
		}
		if (!(averaging >= 0 && averaging < 1)) {
			throw new InvalidInputException("training, averaging", "is " + averaging,
					"choose a decay from 0 (none) up to, not including, 1");
		}
	}

	/**
	 * Options, beginning with the defaults.
	 * @param options sets what differs
	 * @return the options
	 * @throws InvalidInputException if a number is out of its range
	 */
	public static TrainingOptions of(Consumer<Builder> options) {
		Builder builder = new Builder();
		options.accept(builder);
		return builder.build();
	}

	/**
	 * Whether the training stops before its last step.
	 * @return true if that is how it was set
	 */
	public boolean pauses() {
		return this.pauseAfter > 0 && this.pauseAfter < this.steps;
	}

	/** The step at which it stops, for now or for good. */
	long lastStep() {
		return pauses() ? this.pauseAfter : this.steps;
	}

	/** What a listener is told of how the training is done. */
	Map<String, Object> settings(ProgramOptions program) {
		Map<String, Object> settings = new LinkedHashMap<>();
		settings.put("steps", this.steps);
		settings.put("batch", this.batch);
		settings.put("patches", this.patches);
		settings.put("accumulation", this.accumulation);
		settings.put("learning_rate", this.learningRate.greatest());
		settings.put("warmup", this.learningRate.warmup());
		settings.put("decay", this.learningRate.decay().name().toLowerCase(Locale.ROOT));
		settings.put("backbone_rate", this.backboneRate.share());
		settings.put("frozen_steps", this.backboneRate.frozenSteps());
		settings.put("averaging", this.averaging);
		settings.put("checkpoint_every", this.checkpointEvery);
		settings.put("evaluate_every", this.evaluateEvery);
		settings.put("patience", this.patience);
		settings.put("seed", this.seed);
		settings.put("adam_beta1", this.optimizer.beta1());
		settings.put("adam_beta2", this.optimizer.beta2());
		settings.put("adam_epsilon", this.optimizer.epsilon());
		settings.put("weight_decay", this.optimizer.weightDecay());
		settings.put("clip_norm", this.optimizer.clipNorm());
		settings.put("device", program.device().name().toLowerCase(Locale.ROOT));
		settings.put("precision", program.precision().name().toLowerCase(Locale.ROOT));
		settings.put("fused", program.fused());
		return settings;
	}

	private static void atLeast(String name, long value, long least) {
		if (value < least) {
			throw new InvalidInputException("training, " + name, "is " + value, "choose at least " + least);
		}
	}

	/**
	 * Builds options.
	 */
	public static final class Builder {

		private long steps = 1000;

		private long pauseAfter;

		private int batch = 16;

		private int patches = 64;

		private int accumulation = 1;

		private double learningRate = 3e-4;

		private long warmup = 100;

		private LearningRate.Decay decay = LearningRate.Decay.COSINE;

		private BackboneRate backboneRate = BackboneRate.SAME;

		private double averaging;

		private long checkpointEvery;

		private long evaluateEvery;

		private int patience;

		private long seed = 1;

		private OptimizerConfig optimizer = OptimizerConfig.DEFAULT;

		private Builder() {
		}

		/**
		 * Optimiser steps in all.
		 * @param steps 1000 by default
		 * @return this
		 */
		public Builder steps(long steps) {
			this.steps = steps;
			return this;
		}

		/**
		 * Sets the step after which the training stops for now, evaluated and saved as at
		 * its end. The learning rate still falls over {@link #steps}, so a training that
		 * goes on after a pause has lost nothing. A pause is for language models and
		 * baselines, not for the autoencoder before them.
		 * @param step 0 by default: none
		 * @return this
		 */
		public Builder pauseAfter(long step) {
			this.pauseAfter = step;
			return this;
		}

		/**
		 * Sets the sequences of a micro-batch.
		 * @param batch 16 by default
		 * @return this
		 */
		public Builder batch(int batch) {
			this.batch = batch;
			return this;
		}

		/**
		 * Sets the patches of a sequence.
		 * @param patches 64 by default
		 * @return this
		 */
		public Builder patches(int patches) {
			this.patches = patches;
			return this;
		}

		/**
		 * Sets the micro-batches of a step, whose gradients are added up.
		 * @param accumulation 1 by default
		 * @return this
		 */
		public Builder accumulation(int accumulation) {
			this.accumulation = accumulation;
			return this;
		}

		/**
		 * The greatest learning rate.
		 * @param learningRate 0.0003 by default
		 * @return this
		 */
		public Builder learningRate(double learningRate) {
			this.learningRate = learningRate;
			return this;
		}

		/**
		 * Steps over which the learning rate rises.
		 * @param warmup 100 by default
		 * @return this
		 */
		public Builder warmup(long warmup) {
			this.warmup = warmup;
			return this;
		}

		/**
		 * What the learning rate does after the warm-up.
		 * @param decay cosine by default
		 * @return this
		 */
		public Builder decay(LearningRate.Decay decay) {
			this.decay = decay;
			return this;
		}

		/**
		 * Lets the backbone of a language model learn more slowly than the rest, as suits
		 * one that has been trained before.
		 * @param share of the learning rate, 1 by default; 0 for a backbone that stays as
		 * it is
		 * @param frozenSteps first steps in which it stays as it is, 0 by default
		 * @return this
		 */
		public Builder backboneRate(double share, long frozenSteps) {
			this.backboneRate = new BackboneRate(share, frozenSteps);
			return this;
		}

		/**
		 * Decay of the running average of the weights.
		 * @param averaging 0 by default: none
		 * @return this
		 */
		public Builder averaging(double averaging) {
			this.averaging = averaging;
			return this;
		}

		/**
		 * Sets the steps between checkpoints.
		 * @param steps 0 by default: none but the last
		 * @return this
		 */
		public Builder checkpointEvery(long steps) {
			this.checkpointEvery = steps;
			return this;
		}

		/**
		 * Sets the steps between evaluations.
		 * @param steps 0 by default: none
		 * @return this
		 */
		public Builder evaluateEvery(long steps) {
			this.evaluateEvery = steps;
			return this;
		}

		/**
		 * Stops early when the score no longer rises (BrierLM of a language model,
		 * accuracy of an autoencoder; see {@link Evaluation#quality}), and keeps the best
		 * model instead of the last.
		 * @param evaluations in a row without a better score; 0 by default: trains to the
		 * end
		 * @return this
		 */
		public Builder patience(int evaluations) {
			this.patience = evaluations;
			return this;
		}

		/**
		 * Sets the seed of first weights, data order and draws.
		 * @param seed 1 by default
		 * @return this
		 */
		public Builder seed(long seed) {
			this.seed = seed;
			return this;
		}

		/**
		 * Sets the constants of AdamW.
		 * @param optimizer the paper's by default
		 * @return this
		 */
		public Builder optimizer(OptimizerConfig optimizer) {
			this.optimizer = optimizer;
			return this;
		}

		private TrainingOptions build() {
			return new TrainingOptions(this.steps, this.pauseAfter, this.batch, this.patches, this.accumulation,
					new LearningRate(this.learningRate, this.warmup, this.decay), this.backboneRate, this.averaging,
					this.checkpointEvery, this.evaluateEvery, this.patience, this.seed, this.optimizer);
		}

	}

}

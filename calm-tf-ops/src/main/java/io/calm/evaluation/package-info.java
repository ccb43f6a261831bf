/**
 * How good a model is, without likelihoods: Brier-n and BrierLM with their standard
 * errors, and sources of which the best possible score is known.
 */
@NullMarked
package io.calm.evaluation;

import org.jspecify.annotations.NullMarked;

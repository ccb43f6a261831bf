/**
 * Sweeps over the options of a training: a {@link io.calm.cli.sweep.Sweep} is a list of
 * {@link io.calm.cli.sweep.Trial trials}, a {@link io.calm.cli.sweep.Race} trains them
 * and lets the better ones go on, a {@link io.calm.cli.sweep.SweepReport} is what
 * remains.
 */
@NullMarked
package io.calm.cli.sweep;

import org.jspecify.annotations.NullMarked;

/**
 * The comparisons of the paper, small enough for a laptop: a
 * {@link io.calm.cli.ablate.Study} is a list of models that differ in one thing, the
 * {@link io.calm.cli.ablate.Laboratory} trains and scores them, a
 * {@link io.calm.cli.ablate.StudyReport} is what remains.
 */
@NullMarked
package io.calm.cli.ablate;

import org.jspecify.annotations.NullMarked;

/**
 * Temperature for models without likelihoods (Shao et al., arXiv 2510.27688, temperature
 * sampling): all that is needed is a black box that draws patches. Exact by Algorithm 1,
 * fast by Algorithm 2. No TensorFlow in here.
 */
@NullMarked
package io.calm.sampling;

import org.jspecify.annotations.NullMarked;

package io.calm.layer;

import io.calm.graph.Network;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Max;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Cross entropy of integer labels. TensorFlow's sparse one has no gradient in graph mode,
 * and the gradient of its LogSoftmax is wrong for most shapes.
 */
public final class CrossEntropy {

	private CrossEntropy() {
	}

	/**
	 * {@code −log softmax(logits)[label]} of each row.
	 * @param network where to build it
	 * @param logits {@code [rows, V]}
	 * @param labels {@code [rows]}
	 * @return {@code [rows]}, in nats
	 */
	public static Operand<TFloat32> of(Network network, Operand<TFloat32> logits, Operand<TInt32> labels) {
		Ops tf = network.tf();
		int vocabulary = (int) logits.shape().get(1);
		Operand<TInt32> last = tf.constant(new int[] { 1 });
		Operand<TFloat32> greatest = tf.stopGradient(tf.max(logits, last, Max.keepDims(true)));
		Operand<TFloat32> shifted = tf.math.sub(logits, greatest);
		Operand<TFloat32> normaliser = tf.math.log(tf.sum(tf.math.exp(shifted), last));
		Operand<TFloat32> chosen = tf.oneHot(labels, tf.constant(vocabulary), tf.constant(1f), tf.constant(0f));
		return tf.math.sub(normaliser, tf.sum(tf.math.mul(shifted, chosen), last));
	}

}

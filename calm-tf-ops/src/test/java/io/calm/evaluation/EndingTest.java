package io.calm.evaluation;

import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;

class EndingTest {

	private static final int EOS = 2;

	private final Ending ending = new Ending(EOS, 0);

	@Test
	void anAnswerGoesOnWithPad() {
		assertThat(this.ending.continued(new int[] { 7, EOS }, 4)).containsExactly(7, EOS, 0, 0);
		assertThat(this.ending.continued(new int[] { EOS, 0, 0, 0 }, 4)).containsExactly(EOS, 0, 0, 0);
		assertThat(this.ending.continued(new int[] { 7, 8, 9, 7 }, 4)).containsExactly(7, 8, 9, 7);
		assertThat(this.ending.continued(new int[] { 7, 8 }, 4)).as("cut off").isEmpty();
	}

	/** Each patch was drawn after the patches of the path before it. */
	@Test
	void aDrawEndsWhereItOrItsPathHasEnded() {
		int[] path = { 7, EOS, 8, 9 };
		assertThat(this.ending.shown(path, path, 2)).containsExactly(7, EOS, 0, 0);
		assertThat(this.ending.shown(new int[] { EOS, 5, 6, 6 }, path, 2)).containsExactly(EOS, 0, 0, 0);
		// another first patch, but what follows was drawn after the path's, which goes on
		assertThat(this.ending.shown(new int[] { EOS, 5, 6, EOS }, new int[] { 7, 7, 7, 7 }, 2)).containsExactly(EOS, 0,
				6, EOS);
		assertThat(this.ending.shown(new int[] { 7, EOS, 6, EOS }, new int[] { 7, EOS, 7, 7 }, 4)).containsExactly(7,
				EOS, 0, 0);
	}

}

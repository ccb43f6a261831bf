package io.calm.text;

/**
 * A part of a document, never empty, of about 64 Ki characters at most. Its
 * {@link #toString()} does not show the text, which may be private.
 *
 * @param text the text, cut at the end of a line where possible, never inside a character
 * @param endsDocument whether it is the last part of its document
 */
public record TextPiece(String text, boolean endsDocument) {

	@Override
	public String toString() {
		return "TextPiece[" + this.text.length() + " characters, endsDocument=" + this.endsDocument + "]";
	}

}

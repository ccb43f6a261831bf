package io.calm.text;

import org.jspecify.annotations.Nullable;

/**
 * A part of a document, never empty: of plain text about 64 Ki characters at most, of a
 * prompt with its answer the whole. Its {@link #toString()} does not show the text, which
 * may be private.
 *
 * @param prompt what stands before the text and is given, not learned; null for plain
 * text
 * @param text the text, cut at the end of a line where possible, never inside a character
 * @param endsDocument whether it is the last part of its document
 */
public record TextPiece(@Nullable String prompt, String text, boolean endsDocument) {

	/**
	 * A piece of plain text.
	 * @param text the text
	 * @param endsDocument whether it is the last part of its document
	 */
	public TextPiece(String text, boolean endsDocument) {
		this(null, text, endsDocument);
	}

	/** All its text, the prompt first. */
	String whole() {
		return (this.prompt != null) ? this.prompt + this.text : this.text;
	}

	@Override
	public String toString() {
		return "TextPiece[" + whole().length() + " characters, endsDocument=" + this.endsDocument + "]";
	}

}

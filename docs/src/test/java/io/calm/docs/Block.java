package io.calm.docs;

import java.util.Arrays;
import java.util.List;

/**
 * A fenced block of a page.
 *
 * @param page its file, as in {@code docs/train.md}
 * @param line where it begins
 * @param language what stands behind the fence; empty where nothing does
 * @param text its content
 * @param remarks of the comment in front of it: {@code <!-- doc-test: … ; … -->}
 */
record Block(String page, int line, String language, String text, List<String> remarks) {

	/**
	 * What the comment says behind a word, or nothing.
	 */
	List<String> remarks(String word) {
		return this.remarks.stream()
			.filter((remark) -> remark.equals(word) || remark.startsWith(word + " ") || remark.startsWith(word + ":"))
			.map((remark) -> remark.substring(word.length()).replaceFirst("^:", "").strip())
			.toList();
	}

	boolean hasRemark(String word) {
		return !remarks(word).isEmpty();
	}

	/**
	 * {@code given Path corpus, Path output}: what a snippet uses and does not declare.
	 */
	List<String> given() {
		return remarks("given").stream().flatMap((list) -> Arrays.stream(list.split(",\\s*(?![^<]*>)"))).toList();
	}

	String where() {
		return this.page + ":" + this.line;
	}

}

package io.calm.hub;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

import io.calm.input.InvalidInputException;

/**
 * The name of a model on a hub.
 *
 * @param owner a user or an organisation
 * @param name of the repository
 * @param revision a branch, a tag or a commit
 */
public record ModelName(String owner, String name, String revision) {

	private static final String PART = "[A-Za-z0-9][A-Za-z0-9._-]{0,95}";

	private static final Pattern FORM = Pattern
		.compile("hf:(" + PART + ")/(" + PART + ")(?:@(" + PART + "(?:/" + PART + "){0,3}))?");

	/**
	 * Reads a name.
	 * @param text {@code hf:OWNER/NAME} or {@code hf:OWNER/NAME@REVISION}; without a
	 * revision, it is {@code main}
	 * @return the name
	 * @throws InvalidInputException if the text has another form
	 */
	public static ModelName of(String text) {
		Matcher form = FORM.matcher(text);
		if (!form.matches() || text.contains("..")) {
			throw new InvalidInputException(text, "is no name of a model on a hub",
					"write hf:OWNER/NAME or hf:OWNER/NAME@REVISION");
		}
		String revision = form.group(3);
		return new ModelName(form.group(1), form.group(2), (revision != null) ? revision : "main");
	}

	/** As the cache of Hugging Face's libraries names its directory. */
	String directory() {
		return "models--" + this.owner + "--" + this.name;
	}

	@Override
	public String toString() {
		return "hf:" + this.owner + "/" + this.name + "@" + this.revision;
	}

}

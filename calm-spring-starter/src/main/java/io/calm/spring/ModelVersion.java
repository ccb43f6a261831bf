package io.calm.spring;

import org.jspecify.annotations.Nullable;

/**
 * The model that writes a text: which one it is may change from text to text.
 *
 * @param name of the model
 * @param version such as {@code 3}, or {@code null} where the location of the model has
 * no versions
 * @see TextGenerator#WRITTEN_BY
 */
public record ModelVersion(String name, @Nullable String version) {

	@Override
	public String toString() {
		return (this.version != null) ? this.name + ", version " + this.version : this.name;
	}

}

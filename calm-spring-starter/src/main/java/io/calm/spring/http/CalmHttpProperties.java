package io.calm.spring.http;

import java.time.Duration;
import java.util.List;

import io.calm.input.InvalidInputException;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.Pattern;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;
import org.springframework.validation.annotation.Validated;

/**
 * The properties {@code calm.http.*}: the HTTP service, and who may use it.
 *
 * @param enabled Whether a web application answers models, completions and chat
 * completions over HTTP.
 * @param path Where the service is. What is below it is no longer the application's own.
 * @param apiKeys Keys of those who may use the service, of at least 16 characters each;
 * any of them will do. Needed unless server.address is a loopback address.
 * @param hosts Further names by which clients may call a service on a loopback address,
 * such as that of a proxy before it; all others are refused, because a page of another
 * site could use them.
 * @param maxBodySize Size of the largest request; a larger one is refused before it is
 * read.
 * @param bodyTimeout Time in which the body of a request must have come.
 * @param maxChoices Most texts that one request may ask for, of all its prompts together.
 */
@Validated
@ConfigurationProperties("calm.http")
public record CalmHttpProperties(@DefaultValue("false") boolean enabled,
		@Pattern(regexp = "(/[\\w.~-]+)+", message = "must begin with / and not end with it") //
		@DefaultValue("/v1") String path, @DefaultValue List<String> apiKeys, @DefaultValue List<String> hosts,
		@DefaultValue("1MB") DataSize maxBodySize, @DefaultValue("20s") Duration bodyTimeout,
		@Min(1) @DefaultValue("16") int maxChoices) {

	private static final int SHORTEST_KEY = 16;

	/** Checks the time, and the keys: one that can be guessed is worse than none. */
	public CalmHttpProperties {
		if (bodyTimeout.isNegative() || bodyTimeout.isZero()) {
			throw new InvalidInputException("calm.http.body-timeout", "is " + bodyTimeout.toMillis() + " ms",
					"choose a positive time, such as 20s");
		}
		if (apiKeys.stream().anyMatch((key) -> key.length() < SHORTEST_KEY)) {
			throw new InvalidInputException("calm.http.api-keys",
					"one of them is shorter than " + SHORTEST_KEY + " characters",
					"take a random one, such as of 'openssl rand -hex 24'");
		}
	}

	/** Without the keys. */
	@Override
	public String toString() {
		return "calm.http";
	}

}

package io.calm.examples.finetune;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

import io.calm.input.InvalidInputException;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;
import org.springframework.boot.context.properties.bind.BindException;
import org.springframework.boot.context.properties.bind.validation.BindValidationException;
import org.springframework.validation.FieldError;

/**
 * Trains a finished model on with one's own text: {@code --finetune.base},
 * {@code --finetune.corpus}, {@code --finetune.held-out}, {@code --finetune.output} and
 * what else {@link FineTuneProperties} explains.
 */
@SpringBootApplication
@ConfigurationPropertiesScan
public class FineTune {

	/**
	 * Runs it. The exit code is 2 for what the user can mend, with one line that says
	 * how, and 1 for what is nobody's fault.
	 * @param args properties
	 */
	public static void main(String[] args) {
		System.exit(run(args));
	}

	static int run(String... args) {
		try {
			SpringApplication.run(FineTune.class, args).close();
			return 0;
		}
		catch (RuntimeException ex) {
			Optional<String> badInput = badInput(ex);
			System.err.println("fine-tune: " + badInput.orElseGet(ex::toString));
			return badInput.isPresent() ? 2 : 1;
		}
	}

	private static Optional<String> badInput(Throwable failure) {
		List<Throwable> causes = Stream.iterate(failure, (cause) -> cause != null, Throwable::getCause).toList();
		return first(causes, InvalidInputException.class).map(Throwable::getMessage)
			.or(() -> first(causes, BindValidationException.class).map(FineTune::explain))
			.or(() -> first(causes, BindException.class).map(FineTune::explain));
	}

	private static <T extends Throwable> Optional<T> first(List<Throwable> causes, Class<T> type) {
		return causes.stream().filter(type::isInstance).map(type::cast).findFirst();
	}

	/** Such as {@code finetune.steps is 0; must be greater than or equal to 1}. */
	private static String explain(BindValidationException ex) {
		return ex.getValidationErrors()
			.getAllErrors()
			.stream()
			.map((error) -> (error instanceof FieldError field)
					? "%s.%s is '%s'; %s".formatted(ex.getValidationErrors().getName(), kebab(field.getField()),
							field.getRejectedValue(), field.getDefaultMessage())
					: String.valueOf(error.getDefaultMessage()))
			.findFirst()
			.orElseGet(ex::toString);
	}

	private static String kebab(String field) {
		return field.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
	}

	private static String explain(BindException ex) {
		Object value = (ex.getProperty() != null) ? ex.getProperty().getValue() : null;
		return "%s is '%s', which is no %s; give another value".formatted(ex.getName(), value,
				ex.getTarget().getType().toClass().getSimpleName().toLowerCase(Locale.ROOT));
	}

}

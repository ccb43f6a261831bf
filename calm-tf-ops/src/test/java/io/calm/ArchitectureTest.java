package io.calm;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

/**
 * Holds the arrows between the packages of the library.
 */
class ArchitectureTest {

	private static final String ROOT = "io.calm";

	private static final Set<String> UP_TO_MODEL = Set.of("model", "head", "autoencoder", "layer", "graph",
			"checkpoint", "input");

	/**
	 * Which packages below the root each one may use. Packages need not exist yet, but
	 * one that exists has to be listed. The root itself may use them all.
	 */
	private static final Map<String, Set<String>> ARROWS = Map.ofEntries(Map.entry("input", Set.of()),
			Map.entry("hub", Set.of("input")), Map.entry("graph", Set.of("input")),
			Map.entry("cluster", Set.of("graph", "input")), Map.entry("text", Set.of("input")),
			Map.entry("sampling", Set.of("input")), Map.entry("checkpoint", Set.of("graph", "input")),
			Map.entry("layer", Set.of("graph")), Map.entry("autoencoder", Set.of("layer", "graph", "input")),
			Map.entry("head", Set.of("autoencoder", "layer", "graph", "input")),
			Map.entry("model", Set.of("head", "autoencoder", "layer", "graph", "checkpoint", "input")),
			Map.entry("evaluation", and(UP_TO_MODEL, "sampling", "text", "generation")),
			Map.entry("export", UP_TO_MODEL), Map.entry("latent", and(UP_TO_MODEL, "text")),
			Map.entry("generation", and(UP_TO_MODEL, "sampling", "text")),
			Map.entry("training", and(UP_TO_MODEL, "evaluation", "text", "cluster")));

	private static final JavaClasses LIBRARY = new ClassFileImporter()
		.withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
		.withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_JARS)
		.importPackages(ROOT);

	@Test
	void arrowsPointOneWay() {
		List<String> violations = new ArrayList<>();
		ARROWS.forEach((from, allowed) -> {
			String[] mayUse = Stream.concat(Stream.of(from), allowed.stream())
				.map(ArchitectureTest::in)
				.toArray(String[]::new);
			DescribedPredicate<JavaClass> forbidden = resideInAPackage(ROOT + "..")
				.and(DescribedPredicate.not(resideInAnyPackage(mayUse)));
			violations.addAll(noClasses().that()
				.resideInAPackage(in(from))
				.should()
				.dependOnClassesThat(forbidden)
				.allowEmptyShould(true)
				.evaluate(LIBRARY)
				.getFailureReport()
				.getDetails());
		});
		assertThat(violations).isEmpty();
	}

	@Test
	void everyPackageHasItsArrows() {
		Set<String> packages = LIBRARY.stream()
			.map(JavaClass::getPackageName)
			.filter((name) -> !name.equals(ROOT))
			.map((name) -> name.substring(ROOT.length() + 1).split("\\.")[0])
			.collect(Collectors.toSet());
		assertThat(ARROWS.keySet()).containsAll(packages);
		// else the other rules would hold of nothing
		assertThat(packages).contains("graph", "input", "text");
	}

	@Test
	void nothingDependsOnTheRoot() {
		noClasses().that()
			.resideOutsideOfPackage(ROOT)
			.should()
			.dependOnClassesThat()
			.resideInAPackage(ROOT)
			.check(LIBRARY);
	}

	@Test
	void packagesAreFreeOfCycles() {
		slices().matching(ROOT + ".(**)").should().beFreeOfCycles().check(LIBRARY);
	}

	@Test
	void textSamplingAndInputDoWithoutTensorFlow() {
		noClasses().that()
			.resideInAnyPackage(in("text"), in("sampling"), in("input"))
			.should()
			.dependOnClassesThat()
			.resideInAnyPackage("org.tensorflow..", "org.bytedeco..")
			.check(LIBRARY);
	}

	@Test
	void theLibraryNeverPrints() {
		NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(LIBRARY);
	}

	@Test
	void everyPackageIsNullMarked() {
		Set<String> unmarked = LIBRARY.stream()
			.map(JavaClass::getPackage)
			.filter((javaPackage) -> !javaPackage.isAnnotatedWith(NullMarked.class))
			.map((javaPackage) -> javaPackage.getName())
			.collect(Collectors.toSet());
		assertThat(unmarked).isEmpty();
	}

	private static Set<String> and(Set<String> packages, String... more) {
		Set<String> all = new HashSet<>(packages);
		all.addAll(List.of(more));
		return all;
	}

	private static String in(String packageName) {
		return ROOT + "." + packageName + "..";
	}

}

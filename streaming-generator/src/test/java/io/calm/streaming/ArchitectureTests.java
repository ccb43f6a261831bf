package io.calm.streaming;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaPackage;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

/**
 * Holds the arrows of this module: app, service, and client each on the messages, app on
 * the client, and nothing on the app.
 */
class ArchitectureTests {

	private static final JavaClasses MODULE = new ClassFileImporter()
		.withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
		.withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_JARS)
		.importPackages("io.calm.streaming");

	@Test
	void messagesAndClientNeedNeitherModelNorSpring() {
		noClasses().that()
			.resideInAnyPackage("io.calm.streaming", "io.calm.streaming.client")
			.should()
			.dependOnClassesThat()
			.resideInAnyPackage("org.tensorflow..", "org.springframework..", "io.calm.generation..", "io.calm.spring..",
					"io.calm.streaming.service..", "io.calm.streaming.app..")
			.check(MODULE);
	}

	@Test
	void messagesKnowNoKafka() {
		noClasses().that()
			.resideInAPackage("io.calm.streaming")
			.should()
			.dependOnClassesThat()
			.resideInAnyPackage("org.apache.kafka..")
			.check(MODULE);
	}

	@Test
	void nothingDependsOnTheApplication() {
		noClasses().that()
			.resideOutsideOfPackage("io.calm.streaming.app")
			.should()
			.dependOnClassesThat()
			.resideInAPackage("io.calm.streaming.app")
			.check(MODULE);
	}

	@Test
	void serviceKnowsTheModelThroughTheStarterOnly() {
		noClasses().should()
			.dependOnClassesThat()
			.resideInAnyPackage("org.tensorflow..", "io.calm.graph..", "io.calm.model..", "io.calm.training..")
			.check(MODULE);
	}

	@Test
	void packagesAreFreeOfCycles() {
		slices().matching("io.calm.(**)").should().beFreeOfCycles().check(MODULE);
	}

	@Test
	void itNeverPrints() {
		NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(MODULE);
	}

	@Test
	void everyPackageIsNullMarked() {
		assertThat(MODULE.stream().map(JavaClass::getPackage).distinct())
			.allMatch((each) -> each.isAnnotatedWith(NullMarked.class))
			.extracting(JavaPackage::getName)
			.contains("io.calm.streaming", "io.calm.streaming.client", "io.calm.streaming.service");
	}

}

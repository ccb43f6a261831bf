package io.calm.examples.pipeline;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.AriaRole;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static com.microsoft.playwright.assertions.PlaywrightAssertions.setDefaultAssertionTimeout;
import static org.assertj.core.api.Assertions.assertThat;

/**
 * The page in the system's Chromium. With {@code -Dcalm.screenshots=DIR} and a model that
 * can write in {@code -Dcalm.test.model=DIR}, pictures of it are taken too.
 */
class PageTests {

	/** Milliseconds. */
	private static final double TIMEOUT = 60_000;

	private static Chromium chromium;

	private final RunningPipeline pipeline = RunningPipeline.withTwoModels();

	private final List<String> complaints = new ArrayList<>();

	private BrowserContext session;

	private Page page;

	@BeforeAll
	static void openBrowser() {
		Optional<Path> executable = Chromium.find();
		Assumptions.assumeTrue(executable.isPresent(),
				"There is no chromium, chromium-browser or google-chrome on the PATH: the page is not tested");
		chromium = Chromium.open(executable.orElseThrow());
		setDefaultAssertionTimeout(TIMEOUT);
	}

	@AfterAll
	static void closeBrowser() {
		if (chromium != null) {
			chromium.close();
		}
	}

	@BeforeEach
	void openPage() {
		open(this.pipeline, new Browser.NewContextOptions().setViewportSize(1280, 800));
		assertThat(this.page.locator("#health")).hasText("ready");
	}

	private void open(RunningPipeline pipeline, Browser.NewContextOptions options) {
		this.session = chromium.browser().newContext(options);
		this.page = this.session.newPage();
		// such as a violation of the content security policy
		this.page.onConsoleMessage((message) -> this.complaints.add(message.text()));
		this.page.onPageError(this.complaints::add);
		this.page.navigate(pipeline.url("/"));
	}

	@AfterEach
	void closePage() {
		this.session.close();
	}

	@Test
	void aTextIsTypedAndComesPatchByPatch() {
		fill("One fish. Two <b>fish</b>", 40);
		this.page.getByLabel("Draws N").fill("20");
		button("Write").click();

		assertThat(this.page.locator("#outcome")).containsText("finished");
		assertThat(this.page.locator("#text .prompt")).hasText("One fish. Two <b>fish</b>");
		Locator patches = this.page.locator("#text .patch");
		assertThat(patches.count()).isGreaterThan(1);
		assertThat(patches.nth(0)).hasClass("patch");
		assertThat(patches.nth(1)).hasClass("patch odd");
		assertThat(this.page.locator("#count").textContent()).matches("\\d+");
		assertThat(this.page.locator("#speed").textContent()).matches("\\d+");
		assertThat(this.page.locator("#first").textContent()).matches("\\d+ ms");
		assertThat(button("Write")).isEnabled();
		assertThat(button("Cancel")).isDisabled();
		assertThat(this.complaints).isEmpty();
	}

	@Test
	void aTextIsCancelledByTheButtonAndByEscape() {
		for (boolean byKey : new boolean[] { false, true }) {
			fill("One fish. ", 1900);
			this.page.getByLabel("Draws N").fill("1000");
			this.page.keyboard().press("Control+Enter");
			assertThat(this.page.locator("#outcome")).hasText("writing");
			assertThat(button("Write")).isDisabled();
			if (byKey) {
				this.page.keyboard().press("Escape");
			}
			else {
				button("Cancel").click();
			}
			assertThat(this.page.locator("#outcome")).hasText("cancelled");
			assertThat(this.page.locator("#error")).isHidden();
			assertThat(Integer.parseInt(this.page.locator("#count").textContent())).isLessThan(1900);
			assertThat(button("Write")).isEnabled();
		}
		assertThat(this.complaints).isEmpty();
	}

	@Test
	void aRefusalIsShownAndGoesAwayWithTheNextText() {
		fill("One fish. ", 8);
		this.page.getByLabel("Draws N").fill("5000");
		button("Write").click();
		assertThat(this.page.getByRole(AriaRole.ALERT))
			.hasText("The service refused the request: 5000 candidates are more than 1000, the most here.");
		assertThat(this.page.locator("#outcome")).hasText("failed");

		this.page.getByLabel("Draws N").fill("20");
		button("Write").click();
		assertThat(this.page.locator("#outcome")).containsText("finished");
		assertThat(this.page.getByRole(AriaRole.ALERT)).isHidden();
	}

	@Test
	void anApplicationThatIsAwayIsShown() {
		RunningPipeline other = RunningPipeline.onTheSameBroker("--calm.pipeline.products=gone.products",
				"--calm.pipeline.stories=gone.stories");
		try (other) {
			this.session.close();
			open(other, new Browser.NewContextOptions());
			assertThat(this.page.locator("#health")).hasText("ready");
		}
		button("Write").click();
		assertThat(this.page.getByRole(AriaRole.ALERT))
			.hasText("The application does not answer. Is it still running?");
		assertThat(this.page.locator("#health")).hasText("the application does not answer");
	}

	@Test
	void aTrainingIsShownUntilThereIsAModel(@TempDir Path directory) {
		this.session.close();
		// whatever the machine has to do beside it
		setDefaultAssertionTimeout(300_000);
		try (RunningPipeline training = RunningPipeline.withoutAModel(directory)) {
			open(training, new Browser.NewContextOptions());
			assertThat(this.page.locator("#health")).hasText("training");
			assertThat(this.page.locator("#training")).isVisible();
			assertThat(this.page.locator("#write")).isHidden();
			assertThat(this.page.locator("#training-phase")).containsText("Phase 1 of 2");
			assertThat(this.page.locator("#training-phase")).containsText("Phase 2 of 2");
			assertThat(this.page.locator("#training-step")).containsText(" of 12");

			// without a reload
			assertThat(this.page.locator("#health")).hasText("ready");
			assertThat(this.page.locator("#training")).isHidden();
			assertThat(this.page.locator("#service")).containsText("BrierLM");
			assertThat(this.page.locator("#stories li").first()).isVisible();
			fill("One day,", 8);
			this.page.getByLabel("Draws N").fill("20");
			button("Write").click();
			assertThat(this.page.locator("#outcome")).containsText("finished");
			assertThat(this.complaints).isEmpty();
		}
		finally {
			setDefaultAssertionTimeout(TIMEOUT);
		}
	}

	@Test
	void theModelIsChosenAndTheServiceShown() {
		assertThat(this.page.locator("#service")).containsText("4 tokens in a patch");
		this.page.getByLabel("Model", new Page.GetByLabelOptions().setExact(true)).selectOption("k8");
		assertThat(this.page.locator("#service")).containsText("8 tokens in a patch");
		assertThat(this.page.locator("#service")).containsText("0 of 4");
		assertThat(this.page.locator("#service")).containsText("in this process");
		fill("One fish. ", 64);
		this.page.getByLabel("Temperature").fill("1");
		this.page.getByText("Exact").click();
		assertThat(this.page.getByLabel("Draws N")).isDisabled();
		button("Write").click();
		assertThat(this.page.locator("#outcome")).containsText("finished");
		assertThat(this.complaints).isEmpty();
	}

	@Test
	void storiesArriveAndMoreAreSentFor() {
		Locator stories = this.page.locator("#stories li");
		assertThat(stories.nth(11)).isVisible();
		int before = stories.count();
		button("Send again").click();
		assertThat(stories.nth(before)).isAttached();
		assertThat(stories.first()).containsText("k4 · ");
	}

	@Test
	void onAPhoneNothingIsWiderThanTheScreen() {
		this.page.setViewportSize(390, 844);
		fill("One fish. ", 100);
		button("Write").click();
		assertThat(this.page.locator("#outcome")).containsText("finished");
		assertThat(this.page.evaluate("document.documentElement.scrollWidth")).isEqualTo(390);
	}

	@Test
	@EnabledIfSystemProperty(named = "calm.screenshots", matches = ".+")
	void pictures() {
		Path directory = Path.of(System.getProperty("calm.screenshots"));
		try (RunningPipeline writing = RunningPipeline
			.start(List.of("--calm.model.location=file:" + System.getProperty("calm.test.model")))) {
			Screenshots.take(chromium.browser(), writing.url("/"), directory);
		}
	}

	private void fill(String prompt, int tokens) {
		this.page.getByLabel("Beginning of the text").fill(prompt);
		this.page.getByLabel("Most tokens").fill(Integer.toString(tokens));
	}

	private Locator button(String name) {
		return this.page.getByRole(AriaRole.BUTTON, new Page.GetByRoleOptions().setName(name).setExact(true));
	}

}

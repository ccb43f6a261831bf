package io.calm.cli;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import com.microsoft.playwright.options.AriaRole;
import com.microsoft.playwright.options.ColorScheme;
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
 * The page of {@code calm serve} in the system's Chromium, which Playwright drives and
 * does not download. With {@code -Dcalm.screenshots=DIR}, pictures of it are taken too,
 * of the model in {@code -Dcalm.test.model=DIR} if there is one.
 */
class ServePageTest {

	private static Playwright playwright;

	private static Browser browser;

	private static RunningServe serve;

	private static Path model = Path.of("");

	private final List<String> complaints = new ArrayList<>();

	private BrowserContext session;

	private Page page;

	@BeforeAll
	static void start(@TempDir Path directory) throws IOException {
		Path chromium = Stream.of(System.getenv("PATH").split(File.pathSeparator))
			.flatMap((each) -> Stream.of("chromium", "chromium-browser", "google-chrome")
				.map((name) -> Path.of(each, name)))
			.filter(Files::isExecutable)
			.findFirst()
			.orElse(null);
		Assumptions.assumeTrue(chromium != null,
				"There is no chromium, chromium-browser or google-chrome on the PATH: the page is not tested");
		playwright = Playwright
			.create(new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
		browser = playwright.chromium().launch(new BrowserType.LaunchOptions().setExecutablePath(chromium));
		setDefaultAssertionTimeout(60_000);
		model = RunningServe.tinyModel(directory);
		serve = RunningServe.start(model, directory, false, "--context", "2048");
	}

	@AfterAll
	static void stop() {
		if (serve != null) {
			serve.close();
		}
		if (playwright != null) {
			playwright.close();
		}
	}

	@BeforeEach
	void openPage() {
		open(serve, new Browser.NewContextOptions().setViewportSize(1280, 800));
		assertThat(this.page.locator("#health")).hasText("tiny");
	}

	private void open(RunningServe service, Browser.NewContextOptions options) {
		this.session = browser.newContext(options);
		this.page = this.session.newPage();
		// such as a violation of the content security policy
		this.page.onConsoleMessage((message) -> this.complaints.add(message.text()));
		this.page.onPageError(this.complaints::add);
		this.page.navigate(service.url());
	}

	@AfterEach
	void closePage() {
		this.session.close();
	}

	@Test
	void aTextComesStepByStep() {
		fill("One fish. Two <b>fish</b>", 40);
		button("Write").click();
		assertThat(this.page.locator("#outcome")).hasText("finished: as many tokens as asked for");
		assertThat(this.page.locator("#text .prompt")).hasText("One fish. Two <b>fish</b>");
		assertThat(this.page.locator("#text .step").count()).isGreaterThan(3);
		assertThat(this.page.locator("#count")).hasText("40");
		assertThat(this.page.locator("#speed").textContent()).matches("\\d+");
		assertThat(this.page.locator("#first").textContent()).matches("\\d+ ms");
		assertThat(button("Write")).isEnabled();
		assertThat(button("Stop")).isDisabled();
		assertThat(this.complaints).isEmpty();
	}

	@Test
	void aTextIsStoppedByTheButtonAndByEscape() {
		for (boolean byKey : new boolean[] { false, true }) {
			fill("One fish. ", 100_000);
			this.page.getByLabel("Draws N").fill("10000");
			this.page.keyboard().press("Control+Enter");
			assertThat(this.page.locator("#outcome")).hasText("writing");
			assertThat(button("Write")).isDisabled();
			if (byKey) {
				this.page.keyboard().press("Escape");
			}
			else {
				button("Stop").click();
			}
			assertThat(this.page.locator("#outcome")).hasText("stopped");
			assertThat(this.page.locator("#error")).isHidden();
			assertThat(button("Write")).isEnabled();
		}
		assertThat(this.complaints).isEmpty();
	}

	@Test
	void aRefusalIsShownAndGoesAwayWithTheNextText() {
		fill("One fish. ", 0);
		button("Write").click();
		assertThat(this.page.getByRole(AriaRole.ALERT))
			.hasText("The service refused the request: max new tokens is 0; choose a positive number.");
		assertThat(this.page.locator("#outcome")).hasText("failed");
		fill("One fish. ", 8);
		this.page.getByText("Exact", new Page.GetByTextOptions().setExact(true)).click();
		this.page.getByLabel("Temperature").fill("1");
		assertThat(this.page.getByLabel("Draws N")).isDisabled();
		button("Write").click();
		assertThat(this.page.locator("#outcome")).containsText("finished");
		assertThat(this.page.getByRole(AriaRole.ALERT)).isHidden();
	}

	@Test
	void theSameRequestWithCurl() {
		fill("It's <new>", 8);
		assertThat(this.page.locator("#command")).containsText("curl '" + serve.api() + "/completions'");
		assertThat(this.page.locator("#command")).containsText("\"prompt\":\"It'\\''s <new>\"");
		assertThat(this.page.locator("#address")).hasText(serve.api());
	}

	@Test
	void aKeyIsAskedForAndAServiceThatIsAwayIsShown(@TempDir Path directory) {
		this.session.close();
		try (RunningServe locked = RunningServe.start(model, directory, true)) {
			open(locked, new Browser.NewContextOptions());
			assertThat(this.page.locator("#health")).hasText("a key is needed");
			this.page.getByLabel("API key").fill(RunningServe.KEY);
			this.page.getByLabel("API key").blur();
			assertThat(this.page.locator("#health")).hasText("tiny");
			assertThat(this.page.locator("#command")).containsText("Bearer $CALM_API_KEY");
			assertThat(this.page.locator("#command")).not().containsText(RunningServe.KEY);
			fill("One fish. ", 8);
			button("Write").click();
			assertThat(this.page.locator("#outcome")).containsText("finished");
		}
		button("Write").click();
		assertThat(this.page.getByRole(AriaRole.ALERT)).hasText("The service does not answer. Is it still running?");
		assertThat(this.page.locator("#health")).hasText("the service does not answer");
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
	void pictures(@TempDir Path directory) {
		Path pictures = Path.of(System.getProperty("calm.screenshots"));
		Path writer = Path.of(System.getProperty("calm.test.model", model.toString()));
		try (RunningServe writing = RunningServe.start(writer, directory, false)) {
			for (ColorScheme scheme : new ColorScheme[] { ColorScheme.LIGHT, ColorScheme.DARK }) {
				for (int width : new int[] { 1280, 390 }) {
					this.session.close();
					open(writing, new Browser.NewContextOptions().setViewportSize(width, (width > 800) ? 900 : 844)
						.setColorScheme(scheme));
					String suffix = "-" + scheme.name().toLowerCase(Locale.ROOT) + "-" + width + ".png";
					assertThat(this.page.locator("#health")).hasAttribute("data-kind", "good");
					picture(pictures.resolve("idle" + suffix));
					this.page.getByLabel("Draws N").fill("3000");
					button("Write").click();
					this.page.locator("#text .step").nth(9).waitFor();
					picture(pictures.resolve("streaming" + suffix));
					this.page.keyboard().press("Escape");
					picture(pictures.resolve("stopped" + suffix));
					this.page.getByLabel("Draws N").fill("20000");
					button("Write").click();
					assertThat(this.page.getByRole(AriaRole.ALERT)).isVisible();
					picture(pictures.resolve("refused" + suffix));
				}
			}
		}
	}

	private void picture(Path file) {
		this.page.screenshot(new Page.ScreenshotOptions().setPath(file).setFullPage(true));
	}

	private void fill(String prompt, int tokens) {
		this.page.getByLabel("Beginning of the text").fill(prompt);
		this.page.getByLabel("Most tokens").fill(Integer.toString(tokens));
	}

	private Locator button(String name) {
		return this.page.getByRole(AriaRole.BUTTON, new Page.GetByRoleOptions().setName(name).setExact(true));
	}

}

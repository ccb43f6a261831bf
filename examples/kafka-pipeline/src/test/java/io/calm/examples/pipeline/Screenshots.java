package io.calm.examples.pipeline;

import java.nio.file.Path;
import java.util.Locale;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.ColorScheme;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;

/**
 * Pictures of the page: idle, streaming, cancelled, error; on a desk and on a phone;
 * light and dark.
 */
final class Screenshots {

	private static final int TEXTS = 20;

	private static final int PATCHES = 10;

	private Screenshots() {
	}

	static void take(Browser browser, String url, Path directory) {
		for (ColorScheme scheme : new ColorScheme[] { ColorScheme.LIGHT, ColorScheme.DARK }) {
			take(browser, url, directory, scheme, 1280, 800);
			take(browser, url, directory, scheme, 390, 844);
		}
	}

	private static void take(Browser browser, String url, Path directory, ColorScheme scheme, int width, int height) {
		try (BrowserContext session = browser
			.newContext(new Browser.NewContextOptions().setViewportSize(width, height).setColorScheme(scheme))) {
			Page page = session.newPage();
			String suffix = "-" + scheme.name().toLowerCase(Locale.ROOT) + "-" + width + ".png";
			page.navigate(url);
			assertThat(page.locator("#health")).hasText("ready");
			// the stories, all of them
			page.locator("#stories li").nth(11).waitFor();
			picture(page, directory.resolve("idle" + suffix));

			page.getByLabel("Draws N").fill("1000");
			page.getByLabel("Most tokens").fill("160");
			write(page);
			picture(page, directory.resolve("streaming" + suffix));
			cancelledText(page);
			picture(page, directory.resolve("cancelled" + suffix));

			page.getByLabel("Draws N").fill("5000");
			page.locator("#go").click();
			page.locator("#error").waitFor();
			picture(page, directory.resolve("error" + suffix));
		}
	}

	/**
	 * A model may end its text at once, or before somebody can cancel it: then the next
	 * one.
	 */
	private static void cancelledText(Page page) {
		for (int text = 0; text < TEXTS; text++) {
			page.keyboard().press("Escape");
			assertThat(page.locator("#go")).isEnabled();
			if (page.locator("#outcome").textContent().equals("cancelled")) {
				return;
			}
			write(page);
		}
		throw new IllegalStateException("All texts ended before they could be cancelled");
	}

	/** Until there is a text of some length that goes on. */
	private static void write(Page page) {
		for (int text = 0; text < TEXTS; text++) {
			page.locator("#go").click();
			page.waitForCondition(
					() -> page.locator("#text .patch").count() >= PATCHES || page.locator("#go").isEnabled());
			if (page.locator("#go").isDisabled()) {
				return;
			}
		}
		throw new IllegalStateException("All texts ended before they had " + PATCHES + " patches");
	}

	private static void picture(Page page, Path file) {
		page.screenshot(new Page.ScreenshotOptions().setPath(file));
	}

}

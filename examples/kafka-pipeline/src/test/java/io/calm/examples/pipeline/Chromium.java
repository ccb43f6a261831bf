package io.calm.examples.pipeline;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Playwright;

/**
 * The system's Chromium, without a window. Playwright downloads none.
 *
 * @param playwright drives it
 * @param browser the browser
 */
record Chromium(Playwright playwright, Browser browser) implements AutoCloseable {

	static Optional<Path> find() {
		return Stream.of(System.getenv("PATH").split(File.pathSeparator))
			.flatMap((directory) -> Stream.of("chromium", "chromium-browser", "google-chrome")
				.map((name) -> Path.of(directory, name)))
			.filter(Files::isExecutable)
			.findFirst();
	}

	static Chromium open(Path executable) {
		Playwright playwright = Playwright
			.create(new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
		return new Chromium(playwright,
				playwright.chromium().launch(new BrowserType.LaunchOptions().setExecutablePath(executable)));
	}

	@Override
	public void close() {
		this.playwright.close();
	}

}

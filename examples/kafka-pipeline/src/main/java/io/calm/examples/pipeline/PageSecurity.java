package io.calm.examples.pipeline;

import java.io.IOException;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.stereotype.Component;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * The page runs its own script and nothing else, in no frame; what other sites' pages
 * send is refused, and so is whoever calls this machine by another name: a site could let
 * its own name lead here, and would then be no other site to a browser.
 */
@Component
final class PageSecurity extends OncePerRequestFilter {

	private static final String POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
			+ " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

	/** A form has some hundred characters and a prompt. */
	private static final long LARGEST_BODY = 1 << 20;

	private final Set<String> hosts = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);

	PageSecurity(PipelineProperties properties, @Value("${server.address:}") String address) {
		this.hosts.addAll(List.of("localhost", "127.0.0.1", "[::1]", "::1"));
		this.hosts.addAll(properties.hosts());
		this.hosts.add(address);
		this.hosts.add("[" + address + "]");
	}

	@Override
	protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
			throws ServletException, IOException {
		response.setHeader("Content-Security-Policy", POLICY);
		response.setHeader("X-Content-Type-Options", "nosniff");
		response.setHeader("Referrer-Policy", "no-referrer");
		if (!this.hosts.contains(request.getServerName()) || isOfAnotherSite(request)) {
			response.sendError(HttpServletResponse.SC_FORBIDDEN);
			return;
		}
		if (request.getMethod().equals("POST") && request.getContentLengthLong() < 0) {
			response.sendError(HttpServletResponse.SC_LENGTH_REQUIRED);
			return;
		}
		if (request.getContentLengthLong() > LARGEST_BODY) {
			response.sendError(HttpServletResponse.SC_REQUEST_ENTITY_TOO_LARGE);
			return;
		}
		chain.doFilter(request, response);
	}

	/** Another port of this machine is another application. */
	private static boolean isOfAnotherSite(HttpServletRequest request) {
		String site = request.getHeader("Sec-Fetch-Site");
		return !request.getMethod().equals("GET") && ("cross-site".equals(site) || "same-site".equals(site));
	}

}

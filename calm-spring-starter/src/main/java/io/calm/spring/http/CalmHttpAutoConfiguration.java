package io.calm.spring.http;

import java.util.List;
import java.util.Map;

import io.calm.spring.CalmGenerationAutoConfiguration;
import io.calm.spring.CalmProperties;
import io.calm.spring.ChatPromptFormat;
import io.calm.spring.ChatTemplates;
import io.calm.spring.ServedModel;
import io.calm.spring.TextGenerator;
import io.micrometer.observation.ObservationRegistry;
import org.apache.coyote.AbstractProtocol;
import org.apache.coyote.UpgradeProtocol;
import org.apache.coyote.http2.Http2Protocol;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnSingleCandidate;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.tomcat.ConfigurableTomcatWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.boot.web.server.autoconfigure.ServerProperties;
import org.springframework.boot.web.servlet.ServletRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;
import org.springframework.http.server.reactive.ServerHttpRequest;
import org.springframework.http.server.reactive.ServletHttpHandlerAdapter;
import org.springframework.web.reactive.handler.SimpleUrlHandlerMapping;
import org.springframework.web.server.WebHandler;

/**
 * The HTTP service of a web application, where {@code calm.http.enabled} is set.
 */
@AutoConfiguration(after = CalmGenerationAutoConfiguration.class)
@ConditionalOnBooleanProperty("calm.http.enabled")
@ConditionalOnWebApplication
@ConditionalOnClass({ ServerHttpRequest.class, ServerProperties.class, JsonMapper.class })
@ConditionalOnBean(TextGenerator.class)
@EnableConfigurationProperties({ CalmHttpProperties.class, CalmProperties.class })
public final class CalmHttpAutoConfiguration {

	CalmHttpAutoConfiguration() {
	}

	@Bean
	Embeddings calmHttpEmbeddings(ObjectProvider<ServedModel> model, CalmProperties calm) {
		return new Embeddings(model.getIfAvailable(), calm);
	}

	@Bean
	HttpService calmHttpService(CalmHttpProperties properties, TextGenerator generator,
			ObjectProvider<ServedModel> model, CalmProperties calm, ObjectProvider<ChatPrompts> chats,
			ObjectProvider<ChatTemplates> templates, Embeddings embeddings,
			ObjectProvider<ObservationRegistry> observations, ObjectProvider<ServerProperties> server) {
		AccessRules access = new AccessRules(properties.apiKeys(), properties.hosts(), server.getObject().getAddress());
		return new HttpService(access, new Texts(generator, model.getIfAvailable(), calm),
				chats.getIfAvailable(() -> usual(templates.getIfAvailable())), embeddings,
				observations.getIfUnique(() -> ObservationRegistry.NOOP), properties);
	}

	private static ChatPrompts usual(@Nullable ChatTemplates templates) {
		return (templates == null) ? ChatPrompts.PLAIN : (messages) -> new ChatPrompts.Prompt(templates.prompt(
				messages.stream().map((message) -> Map.of("role", message.role(), "content", message.text())).toList()),
				true);
	}

	@Configuration(proxyBeanMethods = false)
	@ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.SERVLET)
	static class ServletConfiguration {

		@Bean
		ServletRegistrationBean<ServletHttpHandlerAdapter> calmHttpServlet(HttpService service,
				CalmHttpProperties properties) {
			ServletRegistrationBean<ServletHttpHandlerAdapter> servlet = new ServletRegistrationBean<>(
					new ServletHttpHandlerAdapter(service::handle), properties.path() + "/*");
			servlet.setName("calmHttpService");
			servlet.setLoadOnStartup(1);
			servlet.setAsyncSupported(true);
			return servlet;
		}

	}

	@Configuration(proxyBeanMethods = false)
	@ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
	static class ReactiveConfiguration {

		/** Before those of the application, as a servlet of this path would be. */
		@Bean
		SimpleUrlHandlerMapping calmHttpRequests(HttpService service, CalmHttpProperties properties) {
			String path = properties.path();
			WebHandler handler = (exchange) -> {
				ServerHttpRequest request = exchange.getRequest();
				String parent = request.getPath().contextPath().value();
				return service.handle(request.mutate().contextPath(parent + path).build(), exchange.getResponse());
			};
			return new SimpleUrlHandlerMapping(Map.of(path + "/**", handler), Ordered.HIGHEST_PRECEDENCE);
		}

	}

	@Configuration(proxyBeanMethods = false)
	@ConditionalOnClass(ConfigurableTomcatWebServerFactory.class)
	static class TomcatConfiguration {

		/**
		 * No request gets the objects of another. Tomcat sets the error of a failed write
		 * after it has told another of its threads to put the objects of the request away
		 * for reuse: a client that leaves then ends the connection of one that comes.
		 */
		@Bean
		WebServerFactoryCustomizer<ConfigurableTomcatWebServerFactory> calmHttpConnectors() {
			// added after Spring Boot's own, which sets the cache from its property
			return (factory) -> factory.addConnectorCustomizers((connector) -> {
				if (connector.getProtocolHandler() instanceof AbstractProtocol<?> protocol) {
					protocol.setProcessorCache(0);
				}
				for (UpgradeProtocol upgrade : connector.findUpgradeProtocols()) {
					if (upgrade instanceof Http2Protocol http2) {
						http2.setDiscardRequestsAndResponses(true);
					}
				}
			});
		}

	}

	@Configuration(proxyBeanMethods = false)
	@ConditionalOnClass(Message.class)
	static class ChatConfiguration {

		/** Chats over HTTP become the same prompts as those of the chat model. */
		@Bean
		@ConditionalOnSingleCandidate(ChatPromptFormat.class)
		ChatPrompts calmChatPrompts(ChatPromptFormat format) {
			return (messages) -> {
				List<Message> converted = messages.stream().map(ChatConfiguration::message).toList();
				return new ChatPrompts.Prompt(format.format(converted), format.namesSpecialTokens());
			};
		}

		private static Message message(ChatMessage message) {
			return switch (message.role()) {
				case "user" -> new UserMessage(message.text());
				case "assistant" -> new AssistantMessage(message.text());
				default -> new SystemMessage(message.text());
			};
		}

	}

}

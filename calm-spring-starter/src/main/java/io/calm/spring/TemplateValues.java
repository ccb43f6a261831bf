package io.calm.spring;

import java.beans.FeatureDescriptor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

import com.hubspot.jinjava.el.ext.JinjavaListELResolver;
import com.hubspot.jinjava.interpret.JinjavaInterpreter;
import com.hubspot.jinjava.lib.exptest.ExpTest;
import com.hubspot.jinjava.lib.filter.Filter;
import com.hubspot.jinjava.util.ForLoop;
import jinjava.javax.el.ArrayELResolver;
import jinjava.javax.el.CompositeELResolver;
import jinjava.javax.el.ELContext;
import jinjava.javax.el.ELResolver;
import jinjava.javax.el.MapELResolver;
import org.jspecify.annotations.Nullable;

/**
 * What a chat template reaches: the entries of lists and maps, the state of its loops,
 * and some methods that Python's texts and maps have. It takes the place of the resolver
 * with which templates call methods of Java's objects.
 */
final class TemplateValues extends CompositeELResolver {

	/**
	 * Values of a template.
	 * @param maxText characters of the longest text that a method may make
	 */
	TemplateValues(long maxText) {
		add(new Methods(maxText));
		add(new ArrayELResolver(true));
		add(new JinjavaListELResolver(true));
		add(new MapELResolver(true));
	}

	private static final class Methods extends ELResolver {

		private final long maxText;

		Methods(long maxText) {
			this.maxText = maxText;
		}

		@Override
		public @Nullable Object getValue(ELContext context, @Nullable Object base, @Nullable Object property) {
			if (!(base instanceof ForLoop loop)) {
				if (base instanceof Map<?, ?> || base instanceof List<?> || base == null || base.getClass().isArray()) {
					// the others know it
					return null;
				}
				context.setPropertyResolved(true);
				return null;
			}
			context.setPropertyResolved(true);
			return switch (String.valueOf(property)) {
				case "index" -> loop.getIndex();
				case "index0" -> loop.getIndex0();
				case "first" -> loop.isFirst();
				case "last" -> loop.isLast();
				case "length" -> loop.getLength();
				case "revindex" -> loop.getRevindex();
				case "revindex0" -> loop.getRevindex0();
				default -> null;
			};
		}

		@Override
		public @Nullable Object invoke(ELContext context, @Nullable Object base, Object method,
				Class<?> @Nullable [] types, Object @Nullable [] given) {
			Object[] arguments = Objects.requireNonNullElse(given, new Object[0]);
			context.setPropertyResolved(true);
			if (base instanceof Filter filter && "filter".equals(method)) {
				return filter(filter, arguments);
			}
			if (base instanceof ExpTest test) {
				Object[] more = Arrays.copyOfRange(arguments, 2, arguments.length);
				JinjavaInterpreter interpreter = (JinjavaInterpreter) arguments[1];
				return "evaluateNegated".equals(method) ? test.evaluateNegated(arguments[0], interpreter, more)
						: test.evaluate(arguments[0], interpreter, more);
			}
			if (base instanceof Map<?, ?> map) {
				return ofMap(map, String.valueOf(method), arguments);
			}
			if (base instanceof CharSequence text) {
				return ofText(text.toString(), String.valueOf(method), arguments);
			}
			throw unknown(method);
		}

		@SuppressWarnings("unchecked")
		private static @Nullable Object filter(Filter filter, Object[] arguments) {
			return filter.filter(arguments[0], (JinjavaInterpreter) arguments[1], (Object[]) arguments[2],
					(Map<String, Object>) arguments[3]);
		}

		private static @Nullable Object ofMap(Map<?, ?> map, String method, Object[] arguments) {
			return switch (method) {
				case "items" -> {
					List<List<?>> items = new ArrayList<>();
					map.forEach((key, value) -> items.add(Arrays.asList(key, value)));
					yield items;
				}
				case "keys" -> new ArrayList<>(map.keySet());
				case "values" -> new ArrayList<>(map.values());
				case "get" -> {
					Object value = map.get(arguments[0]);
					yield (value == null && arguments.length > 1) ? arguments[1] : value;
				}
				default -> throw unknown(method);
			};
		}

		private Object ofText(String text, String method, Object[] arguments) {
			String first = (arguments.length > 0) ? String.valueOf(arguments[0]) : "";
			return switch (method) {
				case "strip" -> stripped(text, first, true, true);
				case "lstrip" -> stripped(text, first, true, false);
				case "rstrip" -> stripped(text, first, false, true);
				case "startswith" -> text.startsWith(first);
				case "endswith" -> text.endsWith(first);
				case "upper" -> text.toUpperCase(Locale.ROOT);
				case "lower" -> text.toLowerCase(Locale.ROOT);
				case "split" -> split(text, first);
				case "replace" -> replaced(text, first, (arguments.length > 1) ? String.valueOf(arguments[1]) : "");
				default -> throw unknown(method);
			};
		}

		private static String stripped(String text, String characters, boolean left, boolean right) {
			int from = 0;
			int to = text.length();
			while (left && from < to && isStripped(text.charAt(from), characters)) {
				from++;
			}
			while (right && to > from && isStripped(text.charAt(to - 1), characters)) {
				to--;
			}
			return text.substring(from, to);
		}

		private static boolean isStripped(char character, String characters) {
			return characters.isEmpty() ? Character.isWhitespace(character) : characters.indexOf(character) >= 0;
		}

		private static List<String> split(String text, String separator) {
			if (separator.isEmpty()) {
				return new ArrayList<>(Arrays.asList(text.strip().split("\\s+")));
			}
			List<String> parts = new ArrayList<>();
			int from = 0;
			for (int at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, from)) {
				parts.add(text.substring(from, at));
				from = at + separator.length();
			}
			parts.add(text.substring(from));
			return parts;
		}

		private String replaced(String text, String old, String replacement) {
			if (old.isEmpty()) {
				return text;
			}
			long length = text.length();
			for (int at = text.indexOf(old); at >= 0; at = text.indexOf(old, at + old.length())) {
				length += replacement.length() - old.length();
			}
			if (length > this.maxText) {
				throw new IllegalStateException("a text is too long");
			}
			return text.replace(old, replacement);
		}

		private static IllegalStateException unknown(Object method) {
			return new IllegalStateException("there is no method " + method);
		}

		@Override
		public Class<?> getType(ELContext context, @Nullable Object base, @Nullable Object property) {
			return Object.class;
		}

		@Override
		public void setValue(ELContext context, @Nullable Object base, @Nullable Object property,
				@Nullable Object value) {
			throw new IllegalStateException("values cannot be changed");
		}

		@Override
		public boolean isReadOnly(ELContext context, @Nullable Object base, @Nullable Object property) {
			return true;
		}

		@Override
		public @Nullable Iterator<FeatureDescriptor> getFeatureDescriptors(ELContext context, @Nullable Object base) {
			return null;
		}

		@Override
		public @Nullable Class<?> getCommonPropertyType(ELContext context, @Nullable Object base) {
			return null;
		}

	}

}

package io.calm.docs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.commonmark.ext.gfm.tables.TablesExtension;
import org.commonmark.node.AbstractVisitor;
import org.commonmark.node.Code;
import org.commonmark.node.FencedCodeBlock;
import org.commonmark.node.Heading;
import org.commonmark.node.HtmlBlock;
import org.commonmark.node.Image;
import org.commonmark.node.IndentedCodeBlock;
import org.commonmark.node.Link;
import org.commonmark.node.Node;
import org.commonmark.node.Text;
import org.commonmark.parser.IncludeSourceSpans;
import org.commonmark.parser.Parser;

/**
 * What a page consists of, as far as it can be wrong.
 *
 * @param name its file, as in {@code docs/train.md}
 * @param blocks its fenced blocks in their order
 * @param words its spans of code
 * @param links targets of links and images
 * @param anchors of its headings
 */
record Page(String name, List<Block> blocks, List<String> words, List<String> links, List<String> anchors) {

	private static final Parser PARSER = Parser.builder()
		.extensions(List.of(TablesExtension.create()))
		.includeSourceSpans(IncludeSourceSpans.BLOCKS)
		.build();

	private static final Pattern COMMENT = Pattern.compile("<!--\\s*doc-test:(.*?)-->", Pattern.DOTALL);

	static Page read(Path repository, Path file) throws IOException {
		return of(repository.relativize(file).toString().replace('\\', '/'), Files.readString(file));
	}

	static Page of(String name, String markdown) {
		Page page = new Page(name, new ArrayList<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
		PARSER.parse(markdown).accept(page.new Reader());
		return page;
	}

	private final class Reader extends AbstractVisitor {

		@Override
		public void visit(FencedCodeBlock block) {
			add(block, block.getInfo().strip(), block.getLiteral());
		}

		@Override
		public void visit(IndentedCodeBlock block) {
			add(block, "indented", block.getLiteral());
		}

		private void add(Node node, String language, String text) {
			int line = node.getSourceSpans().get(0).getLineIndex() + 1;
			Page.this.blocks.add(new Block(Page.this.name, line, language, text, remarks(node.getPrevious())));
		}

		private static List<String> remarks(Node before) {
			if (before instanceof HtmlBlock html) {
				Matcher comment = COMMENT.matcher(html.getLiteral());
				if (comment.find()) {
					return Arrays.stream(comment.group(1).split(";")).map(String::strip).toList();
				}
			}
			return List.of();
		}

		@Override
		public void visit(Code code) {
			Page.this.words.add(code.getLiteral());
		}

		@Override
		public void visit(Link link) {
			Page.this.links.add(link.getDestination());
			visitChildren(link);
		}

		@Override
		public void visit(Image image) {
			Page.this.links.add(image.getDestination());
		}

		@Override
		public void visit(Heading heading) {
			StringBuilder title = new StringBuilder();
			heading.accept(new AbstractVisitor() {
				@Override
				public void visit(Text text) {
					title.append(text.getLiteral());
				}

				@Override
				public void visit(Code code) {
					title.append(code.getLiteral());
				}
			});
			// as GitHub makes them
			Page.this.anchors
				.add(title.toString().toLowerCase(Locale.ROOT).replaceAll("[^\\p{L}\\p{N} _-]", "").replace(' ', '-'));
			visitChildren(heading);
		}

	}

}

package io.calm.examples.quickstart;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.function.ToDoubleBiFunction;

import io.calm.graph.ProgramOptions;
import io.calm.latent.LatentEncoder;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * What the vectors of texts are good for: which story does a sentence come from? Asks the
 * vectors of a model, and how many words the sentence and the story share. The stories
 * are new to a model of the {@link Quickstart}.
 */
@Command(name = "retrieval", mixinStandardHelpOptions = true,
		description = "Finds the stories of sentences by the vectors of a model, and by a bag of words.")
public final class StoryRetrieval implements Callable<Integer> {

	/** Unlike those of the quickstart's corpora. */
	private static final long SEED = 3;

	@Parameters(paramLabel = "MODEL", description = "The directory of a model or of an autoencoder.")
	private Path model = Path.of("quickstart-model");

	@Option(names = "--stories", defaultValue = "100", description = "Default: ${DEFAULT-VALUE}.")
	private int stories;

	/**
	 * Runs it.
	 * @param args {@code --help} explains them
	 */
	public static void main(String[] args) {
		System.exit(new CommandLine(new StoryRetrieval()).execute(args));
	}

	@Override
	public Integer call() {
		shares(this.model, StoryCorpus.stories(SEED).limit(this.stories).toList())
			.forEach((name, share) -> System.out.printf(Locale.ROOT, "%-38s %5.1f %%%n", name, 100 * share));
		return 0;
	}

	/**
	 * The shares of sentences whose story is found, by the ways to look for it.
	 */
	static Map<String, Double> shares(Path model, List<String> stories) {
		List<Query> whole = queries(stories, false);
		List<Query> rest = queries(stories, true);
		Map<String, Double> shares = new TreeMap<>();
		shares.put("bag of words, whole story", found(whole, StoryRetrieval::words, StoryRetrieval::cosine));
		shares.put("bag of words, the rest of the story", found(rest, StoryRetrieval::words, StoryRetrieval::cosine));
		try (LatentEncoder encoder = LatentEncoder.open(model, ProgramOptions.DEFAULT)) {
			Function<String, float[]> vector = (text) -> encoder.encode(text).centre();
			shares.put("vectors, whole story", found(whole, vector, StoryRetrieval::product));
			shares.put("vectors, the rest of the story", found(rest, vector, StoryRetrieval::product));
		}
		return shares;
	}

	/**
	 * A sentence and the stories among which its own is looked for.
	 *
	 * @param sentence of one of the stories
	 * @param stories all of them; that of the sentence perhaps without it
	 * @param own which one it is
	 */
	private record Query(String sentence, List<String> stories, int own) {
	}

	private static List<Query> queries(List<String> stories, boolean without) {
		List<Query> queries = new ArrayList<>();
		for (int i = 0; i < stories.size(); i++) {
			List<String> sentences = Arrays.asList(stories.get(i).split("(?<=[.!?]\"?) "));
			for (int j = 0; j < sentences.size(); j++) {
				List<String> others = new ArrayList<>(sentences);
				others.remove(j);
				List<String> all = new ArrayList<>(stories);
				all.set(i, without ? String.join(" ", others) : stories.get(i));
				queries.add(new Query(sentences.get(j), all, i));
			}
		}
		return queries;
	}

	/** Of several stories that are equally near, one is guessed. */
	private static <V> double found(List<Query> queries, Function<String, V> encoding,
			ToDoubleBiFunction<V, V> nearness) {
		Map<String, V> known = new HashMap<>();
		double found = 0;
		for (Query query : queries) {
			V sentence = known.computeIfAbsent(query.sentence(), encoding);
			double[] near = query.stories()
				.stream()
				.mapToDouble((story) -> nearness.applyAsDouble(sentence, known.computeIfAbsent(story, encoding)))
				.toArray();
			double best = Arrays.stream(near).max().orElseThrow();
			found += (near[query.own()] == best) ? 1.0 / Arrays.stream(near).filter((each) -> each == best).count() : 0;
		}
		return found / queries.size();
	}

	private static double product(float[] one, float[] other) {
		double product = 0;
		for (int i = 0; i < one.length; i++) {
			product += one[i] * other[i];
		}
		return product;
	}

	private static Map<String, Integer> words(String text) {
		Map<String, Integer> words = new HashMap<>();
		for (String word : text.toLowerCase(Locale.ROOT).split("[^a-z]+")) {
			words.merge(word, 1, Integer::sum);
		}
		return words;
	}

	private static double cosine(Map<String, Integer> one, Map<String, Integer> other) {
		double product = one.entrySet()
			.stream()
			.mapToDouble((each) -> each.getValue() * (double) other.getOrDefault(each.getKey(), 0))
			.sum();
		return product / (length(one) * length(other));
	}

	private static double length(Map<String, Integer> words) {
		return Math.sqrt(words.values().stream().mapToDouble((count) -> (double) count * count).sum());
	}

}

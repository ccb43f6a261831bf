"""Tests of calm_text.py on models whose draws are known: check_loader.py DIRECTORY_OF_THE_LOADER."""

import math
import sys
import unittest

import numpy as np

sys.path.insert(0, sys.argv.pop(1))
import calm_text  # noqa: E402

DRAWS, REPEATS = 40, 5000


def expected(p, temperature):
    """How often the first of two patches is chosen: over all counts that DRAWS draws can have."""
    s = 1 / temperature

    def weight(count):
        return math.exp(math.lgamma(count + 1) - math.lgamma(count - s + 1)) if count >= s else 0.0

    total = 0.0
    for count in range(DRAWS + 1):
        first, second = weight(count), weight(DRAWS - count)
        probability = math.comb(DRAWS, count) * p**count * (1 - p) ** (DRAWS - count)
        total += probability * first / (first + second)
    return total


class ChoiceTest(unittest.TestCase):

    def deviation(self, temperature, choose):
        """Standard errors between what is chosen and what should be."""
        random = np.random.default_rng(1)
        p = 0.6
        chosen = 0
        for _ in range(REPEATS):
            patches = [[1, 1] if draw else [1, 2] for draw in random.random(DRAWS) < p]
            chosen += choose(patches, temperature, random) == [1, 1]
        mean = expected(p, temperature)
        return abs(chosen / REPEATS - mean) / math.sqrt(mean * (1 - mean) / REPEATS)

    def test_distribution(self):
        for temperature in (0.5, 0.4, 1 / 3):
            self.assertLess(self.deviation(temperature, calm_text.choose_patch), 4)

    def test_wrong_variants_fail(self):
        def unsharpened(patches, temperature, random):
            return calm_text.choose_patch(patches, 1, random)

        def most_frequent(patches, temperature, random):
            return max(patches, key=patches.count)

        for wrong in (unsharpened, most_frequent):
            self.assertGreater(self.deviation(0.5, wrong), 10)

    def test_too_few_draws(self):
        random = np.random.default_rng(1)
        self.assertEqual(calm_text.choose_patch([[3], [1], [2]], 0.1, random), [3])
        # no patch was drawn ten times: that drawn most often has the only weight
        self.assertEqual({tuple(calm_text.choose_patch([[3], [1], [1]], 0.1, random)) for _ in range(50)}, {(1,)})

    def test_tokens(self):
        random = np.random.default_rng(1)
        logits = np.log(np.array([0.2, 0.5, 0.3]))
        self.assertEqual(calm_text.choose_token(logits, 0, random), 1)
        for temperature in (1, 0.5, 2):
            powers = np.array([0.2, 0.5, 0.3]) ** (1 / temperature)
            chosen = np.bincount([calm_text.choose_token(logits, temperature, random) for _ in range(REPEATS)])
            mean = powers / powers.sum()
            self.assertLess(np.max(np.abs(chosen / REPEATS - mean) / np.sqrt(mean * (1 - mean) / REPEATS)), 4)

    def test_prompts(self):
        import pandas

        for given in ("a", ["a"], {"prompt": ["a"]}, {"prompt": "a"}, [{"prompt": "a"}],
                      pandas.DataFrame({"prompt": ["a"]})):
            self.assertEqual(calm_text.prompts(given), ["a"])


unittest.main()

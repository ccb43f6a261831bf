"""Makes text of text with a model that was trained on the JVM.

This is the loader of the flavor python_function. It reads the SavedModel and tokenizer.json
beside it, and needs numpy, tensorflow and tokenizers.
"""

import json
import os

import numpy as np
import tensorflow as tf
from tokenizers import Tokenizer

# Draws for a patch that has to begin with the last tokens of the prompt.
COMPLETION_BATCH = 256
COMPLETION_DRAWS = 4096

# Texts that are longer are not part of the SavedModel's graph.
LONGEST = 8192


def _load_pyfunc(path):
    return TextModel(path)


class TextModel:
    """A language model whose predictions continue prompts."""

    def __init__(self, path):
        with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        self.tokenizer = Tokenizer.from_file(os.path.join(path, "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.model = tf.saved_model.load(os.path.join(path, "saved_model"))
        self.bos = config["bos_token_id"]
        self.ends = end_ids(path, config)
        self.pad = config.get("pad_token_id")
        if self.pad is None:
            self.pad = self.ends[0]
        self.left_padded = config.get("left_padded", False)
        self.baseline = "next_tokens" in self.model.signatures
        self.patch_size = 1 if self.baseline else config["patch_size"]
        self.context = min(config.get("max_position_embeddings", LONGEST), LONGEST)

    def predict(self, model_input, params=None):
        """Continues each prompt; the first column of a table holds them.

        Row i of a table is drawn from the seed and i, so equal prompts have different texts.
        """
        settings = {key: value for key, value in (params or {}).items() if value is not None}
        return [self.generate(prompt, row=row, **settings) for row, prompt in enumerate(prompts(model_input))]

    def generate(self, prompt, temperature=1.0, seed=0, max_tokens=128, candidates=200, row=0):
        """The continuation of a prompt: only what is new, up to an end of text."""
        hottest = 2 if self.baseline else 1
        if not (0 < temperature <= hottest or temperature == 0 and self.baseline):
            raise ValueError(f"temperature: is {temperature}; choose a number above 0 and up to {hottest}")
        if max_tokens < 1:
            raise ValueError(f"max_tokens: is {max_tokens}; choose at least 1")
        if not 1 <= candidates <= 10000:
            raise ValueError(f"candidates: is {candidates}; choose from 1 to 10000")
        if seed < 0:
            raise ValueError(f"seed: is {seed}; choose 0 or more")
        source, space = self.encode(prompt)
        tokens, begun = self.patches(source)
        random = np.random.default_rng([int(seed), row])
        if len(tokens) // self.patch_size >= self.context:
            raise ValueError(
                f"prompt: is {len(source) + 1} tokens long; shorten it to fewer than "
                f"{(self.context - 1) * self.patch_size} tokens"
            )
        new = []
        while len(new) < max_tokens and len(tokens) // self.patch_size < self.context:
            patch = self.next(tokens, begun, float(temperature), int(candidates), random)
            tokens = tokens + patch
            added = patch[len(begun):][: max_tokens - len(new)]
            begun = []
            end = next((i for i, token in enumerate(added) if token in self.ends), len(added))
            new += added[:end]
            if end < len(added):
                break
        before = self.decode(source)
        text = self.decode(source + new)[len(before):]
        return text[len(os.path.commonprefix([text, space])):]

    def next(self, tokens, begun, temperature, candidates, random):
        """The next patch; the next token of a baseline."""
        if self.baseline:
            fed = tf.constant([tokens], tf.int32)
            logits = self.model.signatures["next_tokens"](tokens=fed)["logits"].numpy()[0]
            return [choose_token(logits[: self.tokenizer.get_vocab_size()], temperature, random)]
        if begun:
            return self.complete(tokens, begun, random)
        if temperature == 1:
            return self.draw(tokens, 1, random)[0]
        return choose_patch(self.draw(tokens, candidates, random), temperature, random)

    def draw(self, tokens, count, random):
        """Patches that may come next."""
        drawn = self.model.signatures["next_patches_seeded"](
            tokens=tf.constant([tokens], tf.int32),
            seed=tf.constant(random.integers(0, 2**62, 2), tf.int64),
            draws=tf.constant(count, tf.int32),
        )
        return drawn["patches"].numpy()[0].tolist()

    def complete(self, tokens, begun, random):
        """A patch that begins with some tokens: the first such draw, or the one nearest to it."""
        best, agreed = None, -1
        for _ in range(0, COMPLETION_DRAWS, COMPLETION_BATCH):
            for patch in self.draw(tokens, COMPLETION_BATCH, random):
                agreement = len(os.path.commonprefix([patch[: len(begun)], begun]))
                if agreement > agreed:
                    best, agreed = patch, agreement
            if agreed == len(begun):
                break
        return begun + best[len(begun):]

    def patches(self, source):
        """Whole patches of a text behind BOS, and tokens that the next patch begins with."""
        tokens = [self.bos] + source
        rest = len(tokens) % self.patch_size
        if rest == 0:
            return tokens, []
        if self.left_padded or len(tokens) < self.patch_size:
            return [self.pad] * (self.patch_size - rest) + tokens, []
        return tokens[:-rest], tokens[-rest:]

    def encode(self, prompt):
        """The tokens of a prompt, and the white space at its end that is in none of them.

        In training a space and the word after it mostly were one token, so as far as the space
        would be another token if a word came next, it is left to the continuation.
        """
        words = prompt.rstrip()
        space = prompt[len(words):]
        tokens = self.ids(words)
        if space:
            whole, followed = self.ids(prompt), self.ids(prompt + "a")
            kept = whole[: len(os.path.commonprefix([whole, followed]))]
            written = self.decode(kept)
            before = self.decode(tokens)
            if len(kept) > len(tokens) and kept[: len(tokens)] == tokens and (before + space).startswith(written):
                tokens, space = kept, space[max(0, len(written) - len(before)):]
        return tokens, space

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, tokens):
        frame = {self.pad, self.bos, *self.ends}
        return self.tokenizer.decode([token for token in tokens if token not in frame], skip_special_tokens=False)


def prompts(model_input):
    """The prompts of a table, a list, a dictionary of lists, or a single text."""
    if isinstance(model_input, str):
        return [model_input]
    if hasattr(model_input, "iloc"):
        return [str(prompt) for prompt in model_input.iloc[:, 0]]
    if isinstance(model_input, dict):
        model_input = next(iter(model_input.values()))
        return [model_input] if isinstance(model_input, str) else [str(prompt) for prompt in model_input]
    return [next(iter(prompt.values())) if isinstance(prompt, dict) else str(prompt) for prompt in model_input]


def end_ids(path, config):
    """The tokens that end a text."""
    configs = [config]
    generation = os.path.join(path, "generation_config.json")
    if os.path.isfile(generation):
        with open(generation, encoding="utf-8") as file:
            configs.append(json.load(file))
    ids = []
    for each in configs:
        end = each.get("eos_token_id", [])
        ids += end if isinstance(end, list) else [end]
    return ids


def choose_token(logits, temperature, random):
    """A token by its logit."""
    if temperature == 0:
        return int(np.argmax(logits))
    weights = np.exp((logits - logits.max()).astype(np.float64) / temperature)
    return int(random.choice(len(weights), p=weights / weights.sum()))


def choose_patch(patches, temperature, random):
    """A patch among many draws (Shao et al., arXiv 2510.27688, Algorithm 2, for any temperature).

    With s = 1/T, a patch that was drawn c times has the weight Gamma(c + 1) / Gamma(c - s + 1).
    Where none was drawn s times, s - 1, s - 2, ... take the place of s.
    """
    counts = {}
    for patch in map(tuple, patches):
        counts[patch] = counts.get(patch, 0) + 1
    if len(counts) == len(patches):
        return list(patches[0])
    inverse = 1 / temperature
    if abs(inverse - round(inverse)) <= 1e-9:
        inverse = round(inverse)
    whole = int(inverse)
    fraction = inverse - whole
    greatest = max(counts.values())
    least = min(whole, greatest if fraction == 0 else greatest - 1) + fraction
    weight_of = {greatest: 1.0}
    for count in range(greatest, 1, -1):
        weight_of[count - 1] = weight_of[count] * (count - least) / count if count - 1 >= least else 0.0
    weights = np.array([weight_of[count] for count in counts.values()])
    return list(list(counts)[random.choice(len(weights), p=weights / weights.sum())])

"""The official client against a running service: BASE_URL, API_KEY and MODEL say which."""
import os
import time
import unittest

import openai

BASE_URL, API_KEY, MODEL = (os.environ[name] for name in ("BASE_URL", "API_KEY", "MODEL"))


def client(key=API_KEY):
    return openai.OpenAI(base_url=BASE_URL, api_key=key, max_retries=0, timeout=60)


class ClientTest(unittest.TestCase):

    def test_models(self):
        self.assertEqual([each.id for each in client().models.list()], [MODEL])
        self.assertEqual(client().models.retrieve(MODEL).object, "model")

    def test_completion(self):
        answer = client().completions.create(model=MODEL, prompt="One fish.", max_tokens=11, temperature=0.9, seed=3)
        self.assertEqual(answer.choices[0].finish_reason, "length")
        self.assertEqual(answer.usage.prompt_tokens, 9)
        self.assertEqual(answer.usage.completion_tokens, 11)
        self.assertEqual(answer.usage.total_tokens, 20)

    def test_streamed_completion_is_the_same_text(self):
        order = dict(model=MODEL, prompt="One fish.", max_tokens=40, seed=3)
        whole = client().completions.create(**order)
        events = list(client().completions.create(**order, stream=True, stream_options={"include_usage": True}))
        self.assertGreater(len(events), 5)
        self.assertEqual("".join(event.choices[0].text for event in events if event.choices), whole.choices[0].text)
        self.assertEqual(events[-1].usage, whole.usage)

    def test_chat(self):
        order = dict(model=MODEL, max_completion_tokens=24, seed=5,
                     messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Two fish."}])
        whole = client().chat.completions.create(**order)
        self.assertEqual(whole.choices[0].message.role, "assistant")
        self.assertEqual(whole.usage.completion_tokens, 24)
        events = list(client().chat.completions.create(**order, stream=True))
        self.assertEqual(events[0].choices[0].delta.role, "assistant")
        self.assertEqual(events[-1].choices[0].finish_reason, "length")
        self.assertEqual("".join(event.choices[0].delta.content or "" for event in events),
                         whole.choices[0].message.content)

    def test_embeddings(self):
        # the client asks for base64 unless it is told otherwise
        coded = client().embeddings.create(model=MODEL, input=["One fish.", "Two"])
        plain = client().embeddings.create(model=MODEL, input="Two", encoding_format="float")
        self.assertEqual([each.index for each in coded.data], [0, 1])
        self.assertEqual(len(coded.data[0].embedding), 8)
        for one, other in zip(coded.data[1].embedding, plain.data[0].embedding, strict=True):
            self.assertAlmostEqual(one, other, places=6)
        self.assertAlmostEqual(sum(number * number for number in plain.data[0].embedding), 1, places=5)
        self.assertEqual(coded.usage.prompt_tokens, 12)
        with self.assertRaises(openai.BadRequestError) as refused:
            client().embeddings.create(model=MODEL, input="Two", dimensions=256)
        self.assertEqual(refused.exception.param, "dimensions")

    def test_extensions(self):
        order = dict(model=MODEL, prompt="One", max_tokens=8, seed=1)
        exact = client().completions.create(**order, extra_body={"exact": True})
        drawn = client().completions.create(**order, extra_body={"candidates": 50})
        self.assertEqual(exact.usage.completion_tokens, drawn.usage.completion_tokens)

    def test_three_texts(self):
        answer = client().completions.create(model=MODEL, prompt="One fish.", max_tokens=40, n=3)
        self.assertEqual([choice.index for choice in answer.choices], [0, 1, 2])
        self.assertEqual(len({choice.text for choice in answer.choices}), 3)
        self.assertEqual(answer.usage.completion_tokens, 120)

    def test_stop(self):
        order = dict(model=MODEL, prompt="One fish.", max_tokens=40, seed=2)
        text = client().completions.create(**order).choices[0].text
        stop = text[len(text) // 2:][:2]
        stopped = client().completions.create(**order, stop=[stop, "never said"])
        self.assertEqual(stopped.choices[0].text, text[:text.index(stop)])
        self.assertEqual(stopped.choices[0].finish_reason, "stop")

    def test_cancel_in_mid_stream(self):
        # each takes the one slot for minutes, unless leaving it ends it
        for _ in range(2):
            stream = client().completions.create(model=MODEL, prompt="One", max_tokens=100_000, stream=True,
                                                 extra_body={"candidates": 10_000})
            next(iter(stream))
            stream.close()
        started = time.monotonic()
        client().completions.create(model=MODEL, prompt="One", max_tokens=4)
        self.assertLess(time.monotonic() - started, 30)

    def test_wrong_key(self):
        with self.assertRaises(openai.AuthenticationError) as refused:
            client("a-key-that-is-wrong").models.list()
        self.assertEqual(refused.exception.code, "invalid_api_key")

    def test_unknown_model(self):
        with self.assertRaises(openai.NotFoundError) as refused:
            client().completions.create(model="gpt-5", prompt="One")
        self.assertEqual(refused.exception.code, "model_not_found")

    def test_too_long(self):
        for stream in (False, True):
            with self.assertRaises(openai.BadRequestError) as refused:
                client().completions.create(model=MODEL, prompt="a" * 9000, stream=stream)
            self.assertEqual(refused.exception.code, "context_length_exceeded")
            self.assertIn("9001 tokens long", refused.exception.message)

    def test_what_cannot_be_had(self):
        for field in ({"logprobs": 3}, {"logit_bias": {"1": 5}}, {"best_of": 4}, {"presence_penalty": 1}):
            with self.assertRaises(openai.BadRequestError) as refused:
                client().completions.create(model=MODEL, prompt="One", **field)
            self.assertEqual(refused.exception.param, next(iter(field)))


if __name__ == "__main__":
    unittest.main()

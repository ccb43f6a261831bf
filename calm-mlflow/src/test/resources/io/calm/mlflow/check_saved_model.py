"""Compares a SavedModel with what the engine says: check_saved_model.py DIR CASES."""

import json
import sys

import numpy as np
import tensorflow as tf

saved = tf.saved_model.load(sys.argv[1])
with open(sys.argv[2], encoding="utf-8") as file:
    cases = json.load(file)
assert cases
for case in cases:
    if "logits_of" in case:
        logits = saved.signatures["next_tokens"](tokens=tf.constant(case["tokens"], tf.int32))["logits"].numpy()
        drawn = logits.argmax(axis=1)[:, None]
    else:
        drawn = saved.signatures["next_patches"](
            tokens=tf.constant(case["tokens"], tf.int32), noise=tf.constant(case["noise"], tf.float32)
        )["patches"].numpy()[:, 0]
    assert drawn.tolist() == case["next"], (case["tokens"], drawn.tolist(), case["next"])
if "encode" in saved.signatures:
    tokens = tf.constant([[1, 7, 8, 9] * 2] * 3, tf.int32)
    encoded = saved.signatures["encode"](tokens=tokens)
    assert encoded["mean"].shape[:2] == (3, 2) and encoded["log_deviation"].shape == encoded["mean"].shape
    assert saved.signatures["decode"](latents=encoded["mean"])["tokens"].shape == (3, 8)
print("cases", len(cases), "variables", len(saved.variables))

# the loader of TensorFlow 1, which command-line tools use
if len(sys.argv) > 3:
    first = {variable.name: variable.numpy() for variable in saved.variables}
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], sys.argv[1])
        assert len(meta.signature_def) == len(saved.signatures)
        values = {each.name: session.run(each) for each in session.graph.get_collection("variables")}
    assert values.keys() == first.keys()
    assert all(np.array_equal(values[name], first[name]) for name in first)

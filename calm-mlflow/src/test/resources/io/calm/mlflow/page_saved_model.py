import tensorflow as tf

model = tf.saved_model.load("saved-model")
prompt = tf.constant([[1, 82, 113, 104]])  # BOS and the bytes of "One", as the byte tokenizer numbers them
draws = model.signatures["next_patches_seeded"](
    tokens=prompt, seed=tf.constant([1, 0], tf.int64), draws=tf.constant(5))
print(draws["patches"].numpy())  # 1 prompt, 5 draws, 4 tokens each

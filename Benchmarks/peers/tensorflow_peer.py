"""TensorFlow's side of the workloads: tf.function where not named eager, Keras for what users train with it."""

import numpy as np
import tensorflow as tf

import definitions as sizes
from worker import serve, threads

tf.config.threading.set_intra_op_parallelism_threads(threads())
tf.config.threading.set_inter_op_parallelism_threads(1)

import keras  # noqa: E402  (reads the thread settings)

RNG = np.random.default_rng(0)


def normal(*shape):
    return tf.constant(RNG.standard_normal(shape, dtype=np.float32))


def finished(function, *operands):
    def call():
        result = function(*operands)
        (result[0] if isinstance(result, (list, tuple)) else result)._numpy()  # waits; on the CPU it copies nothing
    return call


def eager_add():
    step = tf.fill((4,), 1e-3)

    def call():
        total = tf.ones(4)
        for _ in range(sizes.EAGER_ADDS):
            total = total + step
    return call


def eager_mm64():
    a, b = normal(64, 64), normal(64, 64)
    return lambda: tf.matmul(a, b)


def scalar_autograd():
    x = tf.constant(2.0)

    def call():
        for _ in range(sizes.SCALAR_GRADIENTS):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = x ** 3
            tape.gradient(y, x)
    return call


def mm_1024():
    return finished(tf.function(tf.matmul), normal(1024, 1024), normal(1024, 1024))


def elementwise_chain(xla):
    @tf.function(jit_compile=xla)
    def chain(x):
        return tf.nn.gelu(2 * x + 1, approximate=True) * tf.sigmoid(x) - x * x
    return finished(chain, normal(sizes.ELEMENTS))


def softmax():
    return finished(tf.function(lambda x: tf.nn.softmax(x, axis=-1)), normal(*sizes.ROWS))


def sum_16M():
    return finished(tf.function(tf.reduce_sum), normal(sizes.ELEMENTS))


def convolution(name, backward):
    batch, channels, side, outputs, kernel, groups = sizes.CONVOLUTIONS[name]
    x = normal(batch, side, side, channels)
    depthwise = groups == channels
    weight = normal(kernel, kernel, channels, 1) if depthwise else normal(kernel, kernel, channels, outputs)

    def forward(x, weight):
        convolve = tf.nn.depthwise_conv2d if depthwise else tf.nn.conv2d
        return convolve(x, weight, (1, 1, 1, 1), "SAME")
    if not backward:
        return finished(tf.function(forward), x, weight)
    cotangent = tf.ones((batch, side, side, outputs))

    @tf.function
    def both(x, weight, cotangent):
        with tf.GradientTape() as tape:
            tape.watch((x, weight))
            y = forward(x, weight)
        return y, *tape.gradient(y, (x, weight), cotangent)  # y too, or its computation would be pruned
    return finished(both, x, weight, cotangent)


def mlp_step(xla):
    model = keras.Sequential([keras.layers.Input((784,)), keras.layers.Dense(256, "relu"),
                              keras.layers.Dense(128, "relu"), keras.layers.Dense(10)])
    variables = [v.value for v in model.trainable_variables]
    velocity = [tf.Variable(tf.zeros_like(v)) for v in variables]
    x, y = normal(32, 784), tf.constant(RNG.integers(0, 10, 32, dtype=np.int32))

    @tf.function(jit_compile=xla)
    def step(x, y):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=model(x, training=True))
            loss = tf.reduce_mean(losses)
        for variable, v, gradient in zip(variables, velocity, tape.gradient(loss, variables)):
            v.assign(0.9 * v + gradient)
            variable.assign_sub(0.01 * v)
        return loss
    return finished(step, x, y)


def seed_cnn():
    return keras.Sequential([
        keras.layers.Input((28, 28, 1)), keras.layers.Conv2D(32, 3, activation="relu"), keras.layers.MaxPooling2D(),
        keras.layers.Flatten(), keras.layers.Dense(10)])


def seed_cnn_train():
    model = seed_cnn()
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = RNG.standard_normal((sizes.EPOCH, 28, 28, 1), dtype=np.float32)
    labels = RNG.integers(0, 10, sizes.EPOCH, dtype=np.int32)
    return lambda: model.fit(images, labels, batch_size=sizes.BATCH, epochs=1, shuffle=True, verbose=0)


def seed_cnn_infer_b1():
    model, image = seed_cnn(), normal(1, 28, 28, 1)
    return finished(tf.function(lambda x: model(x, training=False)), image)


WORKLOADS = {f.__name__: f for f in (
    eager_add, eager_mm64, scalar_autograd, mm_1024, softmax, sum_16M, seed_cnn_train, seed_cnn_infer_b1)}
for suffix, xla in (("", False), ("/xla", True)):
    WORKLOADS["elementwise_chain" + suffix] = lambda x=xla: elementwise_chain(x)
    WORKLOADS["mlp_step" + suffix] = lambda x=xla: mlp_step(x)
for name in sizes.CONVOLUTIONS:
    for part in ("fwd", "fwdbwd"):
        WORKLOADS[f"{name}_{part}"] = lambda n=name, p=part: convolution(n, p == "fwdbwd")

if __name__ == "__main__":
    serve(f"TensorFlow {tf.__version__}", WORKLOADS)

"""JAX's side of the workloads: everything under jit except what is named eager."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import definitions as sizes
from worker import serve

RNG = np.random.default_rng(0)


def normal(*shape):
    return jnp.asarray(RNG.standard_normal(shape, dtype=np.float32))


def finished(function, *operands):
    return lambda: jax.block_until_ready(function(*operands))


def eager_add():
    step = jnp.full((4,), 1e-3)

    def call():
        total = jnp.ones(4)
        for _ in range(sizes.EAGER_ADDS):
            total = total + step
        total.block_until_ready()
    return call


def eager_mm64():
    a, b = normal(64, 64), normal(64, 64)
    return finished(jnp.matmul, a, b)


def mm_1024():
    return finished(jax.jit(jnp.matmul), normal(1024, 1024), normal(1024, 1024))


def elementwise_chain():
    chain = jax.jit(lambda x: jax.nn.gelu(2 * x + 1, approximate=True) * jax.nn.sigmoid(x) - x * x)
    return finished(chain, normal(sizes.ELEMENTS))


def softmax():
    return finished(jax.jit(lambda x: jax.nn.softmax(x, axis=-1)), normal(*sizes.ROWS))


def layernorm():
    def norm(x, scale, shift):
        centred = x - x.mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5) * scale + shift
    return finished(jax.jit(norm), normal(*sizes.ROWS), normal(sizes.ROWS[1]), normal(sizes.ROWS[1]))


def sum_16M():
    return finished(jax.jit(jnp.sum), normal(sizes.ELEMENTS))


def adam_step(values, gradients, means, squares, count, rate=1e-3, decay=0.0):
    count = count + 1
    means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, gradients)
    squares = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, squares, gradients)
    first, second = 1 - 0.9 ** count, 1 - 0.999 ** count
    values = jax.tree.map(
        lambda p, m, v: p * (1 - rate * decay) - rate * (m / first) / (jnp.sqrt(v / second) + 1e-8),
        values, means, squares)
    return values, means, squares, count


def stateful(function, state):
    """A call that feeds the state that `function` returns into the next call; old state is donated."""
    held = [state]

    def call(*inputs):
        held[0] = function(held[0], *inputs)
        jax.block_until_ready(held[0])
    return call


def adamw_update():
    values = [normal(*shape) * 0.02 for shape in sizes.ADAMW_SHAPES]
    gradients = [normal(*shape) * 1e-3 for shape in sizes.ADAMW_SHAPES]
    zeros = lambda: [jnp.zeros_like(value) for value in values]  # noqa: E731

    @functools.partial(jax.jit, donate_argnums=0)
    def update(state, gradients):
        values, means, squares, count = state
        return adam_step(values, gradients, means, squares, count, decay=0.01)
    step = stateful(update, (values, zeros(), zeros(), jnp.float32(0)))
    return lambda: step(gradients)


def convolution(name, backward):
    batch, channels, side, outputs, kernel, groups = sizes.CONVOLUTIONS[name]
    x, weight = normal(batch, side, side, channels), normal(kernel, kernel, channels // groups, outputs)

    def forward(x, weight):
        return jax.lax.conv_general_dilated(
            x, weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups)
    if not backward:
        return finished(jax.jit(forward), x, weight)
    cotangent = jnp.ones((batch, side, side, outputs), jnp.float32)

    @jax.jit
    def both(x, weight, cotangent):
        result, pullback = jax.vjp(forward, x, weight)
        return result, pullback(cotangent)
    return finished(both, x, weight, cotangent)


def cross_entropy(logits, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()


def scalar_autograd():
    return repeated(jax.grad(lambda x: x ** 3))


def scalar_autograd_jit():
    return repeated(jax.jit(jax.grad(lambda x: x ** 3)))


def repeated(gradient):

    def call():
        for _ in range(sizes.SCALAR_GRADIENTS):
            gradient(2.0).block_until_ready()
    return call


def mlp_step():
    widths = [784, 256, 128, 10]
    layers = [(normal(a, b) * (1 / a) ** 0.5, jnp.zeros(b)) for a, b in zip(widths, widths[1:])]

    def loss(layers, x, y):
        for weight, bias in layers[:-1]:
            x = jax.nn.relu(x @ weight + bias)
        return cross_entropy(x @ layers[-1][0] + layers[-1][1], y)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, x, y):
        layers, velocity = state
        gradients = jax.grad(loss)(layers, x, y)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradients)
        return jax.tree.map(lambda p, v: p - 0.01 * v, layers, velocity), velocity
    call = stateful(step, (layers, jax.tree.map(jnp.zeros_like, layers)))
    x, y = normal(32, 784), jnp.asarray(RNG.integers(0, 10, 32, dtype=np.int32))
    return lambda: call(x, y)


def cnn_parameters():
    return {"kernel": normal(3, 3, 1, 32) * 0.3, "shift": jnp.zeros(32), "weight": normal(5408, 10) * 0.01,
            "bias": jnp.zeros(10)}


def cnn(p, x):
    x = jax.lax.conv_general_dilated(x, p["kernel"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    x = jax.nn.relu(x + p["shift"])
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return x.reshape(x.shape[0], -1) @ p["weight"] + p["bias"]


def seed_cnn_train():
    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, x, y):
        p, means, squares, count = state
        gradients = jax.grad(lambda p: cross_entropy(cnn(p, x), y))(p)
        return adam_step(p, gradients, means, squares, count)
    p = cnn_parameters()
    zeros = lambda: jax.tree.map(jnp.zeros_like, p)  # noqa: E731
    call = stateful(step, (p, zeros(), zeros(), jnp.float32(0)))
    images = RNG.standard_normal((sizes.EPOCH, 28, 28, 1), dtype=np.float32)
    labels = RNG.integers(0, 10, sizes.EPOCH, dtype=np.int32)

    def epoch():
        order = RNG.permutation(sizes.EPOCH)
        for start in range(0, sizes.EPOCH, sizes.BATCH):
            chosen = order[start:start + sizes.BATCH]
            call(images[chosen], labels[chosen])
    return epoch


def seed_cnn_infer_b1():
    return finished(jax.jit(cnn), cnn_parameters(), normal(1, 28, 28, 1))


WORKLOADS = {f.__name__: f for f in (
    eager_add, eager_mm64, scalar_autograd, mm_1024, elementwise_chain, softmax, layernorm, sum_16M, adamw_update,
    mlp_step, seed_cnn_train, seed_cnn_infer_b1)}
WORKLOADS["scalar_autograd/jit"] = scalar_autograd_jit
for name in sizes.CONVOLUTIONS:
    for part in ("fwd", "fwdbwd"):
        WORKLOADS[f"{name}_{part}"] = lambda n=name, p=part: convolution(n, p == "fwdbwd")

if __name__ == "__main__":
    serve(f"JAX {jax.__version__}", WORKLOADS)

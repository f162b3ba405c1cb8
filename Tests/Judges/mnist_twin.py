#!/usr/bin/env python3
"""The MNIST comparison's PyTorch side, by itself.

    python Tests/Judges/mnist_twin.py write DIRECTORY      the digits as IDX files, for apus train mnist --data DIRECTORY
    python Tests/Judges/mnist_twin.py train [SEED ...]     the twin's accuracy on the held-out 1,000, per seed and mean
"""

import sys

import torch

import twins

SEEDS = [0, 1, 2, 3, 4]


def accuracies(seeds, report=print):
    training, held_out = (twins.tensors(part) for part in twins.mnist_digits())
    found = []
    for seed in seeds:
        found.append(twins.accuracy(twins.train("mnist", *training, seed), *held_out))
        report(f"PyTorch, seed {seed}: {found[-1]:.1%} of {len(held_out[1])}")
    return found


def main():
    torch.set_num_threads(2)
    match sys.argv[1:]:
        case ["write", directory]:
            twins.write_mnist(directory)
        case ["train", *seeds]:
            found = accuracies([int(seed) for seed in seeds] or SEEDS)
            print(f"mean {sum(found) / len(found):.2%}")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

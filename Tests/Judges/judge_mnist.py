"""On real MNIST digits, is a network trained by Apus as good as the same network trained by PyTorch?

usage: judge_mnist.py APUS. Five seeds each; 4,000 digits to train with, 1,000 others to test. Both means carry
chance: the judge asks that Apus's mean is no lower than PyTorch's by more than two standard errors of the difference,
and, lest both be poor, that it is about 98 %: at least 97.5 %."""

import statistics
import sys
import tempfile

try:
    import mnist_twin
    import torch
    import twins
    twins.mnist_digits()
except ModuleNotFoundError as problem:
    print(f"SKIPPED: {problem}")
    sys.exit(77)

FLOOR = 0.975


def ours(apus, seeds):
    found = []
    with tempfile.TemporaryDirectory() as folder:
        twins.write_mnist(folder + "/mnist")
        for seed in seeds:
            result = twins.run_apus(apus, "train", "mnist", "--data", folder + "/mnist", "--seed", str(seed),
                                    "--output", f"{folder}/model-{seed}", "--no-pictures")
            found.append(result["test"]["accuracy"])
            print(f"Apus, seed {seed}: {found[-1]:.1%} of 1000", flush=True)
    return found


def main():
    torch.set_num_threads(2)
    mine = ours(sys.argv[1], mnist_twin.SEEDS)
    theirs = mnist_twin.accuracies(mnist_twin.SEEDS)
    difference = statistics.mean(mine) - statistics.mean(theirs)
    error = (statistics.variance(mine) / len(mine) + statistics.variance(theirs) / len(theirs)) ** 0.5
    print(f"mean: Apus {statistics.mean(mine):.2%}, PyTorch {statistics.mean(theirs):.2%}; "
          f"difference {difference:+.2%}, standard error {error:.2%}")
    if statistics.mean(mine) < FLOOR:
        print(f"Apus's mean is below {FLOOR:.1%}")
        sys.exit(1)
    sys.exit(0 if difference >= -2 * error else 1)


if __name__ == "__main__":
    main()

"""Are a mapped file's weights used where they are?

usage: judge_mapped.py APUS. A network whose weights take 1 GiB, in a file that the safetensors format's own package wrote,
runs from the file mapped and from a private copy of it, with NumPy's results, and without a second copy in memory: memory
that is the process's own (RssAnon) grows by a fraction of the weights. The file is truncated under the private copy, which
must not notice."""

import ctypes
import os
import sys
import tempfile

try:
    import apus_library
    import numpy as np
    from apus_library import Tensor
    from safetensors.numpy import save_file
except ModuleNotFoundError as problem:
    print(f"SKIPPED: {problem}")
    sys.exit(77)

LAYERS, SIZE, BATCH = 16, 4096, 4
MIB = 1 << 20


def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field + ":"))


def weight(layer):
    rng = np.random.default_rng(layer)
    return rng.standard_normal((SIZE, SIZE), dtype=np.float32) * np.float32((2 / SIZE) ** 0.5)


def run(path, folder, x, expected):
    """The network from a file, or from a copy of it in `folder`; how much memory of its own the process took."""
    before = status("RssAnon")
    network = apus_library.call(
        "network", path.encode(), folder and folder.encode(), ctypes.c_ssize_t(LAYERS), ctypes.c_ssize_t(SIZE))
    loaded = status("RssAnon") - before
    if folder:
        os.truncate(path, 4096)
    good = True
    given = Tensor.of(x)
    for _ in range(2):
        y = np.from_dlpack(Tensor(apus_library.call("network_run", network, given.handle)))
        error = np.abs(y - expected).max() / np.abs(expected).max()
        good = good and bool(error < 1e-5)
    own, file = status("RssAnon") - before, status("RssFile")
    weights = LAYERS * SIZE * SIZE * 4
    print(
        f"{'a private copy' if folder else 'the file'}, mapped: {weights // MIB} MiB of weights; own memory grew by "
        f"{loaded // MIB} MiB at loading and {own // MIB} MiB in all, {file // MIB} MiB are the file's; error {error:.1e}")
    # A product may lay out one layer's weights anew while it runs.
    good = good and loaded < 16 * MIB and own < weights / 4 and file > weights * 3 / 4
    apus_library.library.judge_network_free(network)
    left = status("RssFile")
    if left > weights / 2:
        print(f"FAILED: {left // MIB} MiB are still mapped when the network is gone")
        good = False
    return good


def main():
    try:
        apus_library.load(sys.argv[1])
    except (OSError, FileNotFoundError) as problem:
        print(f"FAILED: {problem}")
        sys.exit(1)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        if os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize < 3 * LAYERS * SIZE * SIZE * 4:
            print(f"SKIPPED: {folder} has no room")
            sys.exit(77)
        path = os.path.join(folder, "model.safetensors")
        x = np.random.default_rng(99).standard_normal((BATCH, SIZE), dtype=np.float32)
        expected = x
        weights = {}
        for layer in range(LAYERS):
            weights[f"{layer}.weight"] = weight(layer)
            expected = np.maximum(expected @ weights[f"{layer}.weight"].T, 0)
        save_file(weights, path)
        del weights
        good = run(path, None, x, expected)
        good = run(path, folder, x, expected) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

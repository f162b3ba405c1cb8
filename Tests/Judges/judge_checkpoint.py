"""Do a network's weights mean the same in PyTorch?

usage: judge_checkpoint.py APUS. A network that Apus trained is read by the safetensors package into PyTorch's twin
(strictly: same keys, same shapes), and one that PyTorch trained is evaluated by Apus; both must get the same held-out
digits right. The pictures that training drew must be PNG files that Pillow reads, not of one colour."""

import glob
import os
import sys
import tempfile

try:
    import numpy as np
    import torch
    import twins
    from PIL import Image
    from safetensors.torch import load_file, save_file
except ModuleNotFoundError as problem:
    print(f"SKIPPED: {problem}")
    sys.exit(77)


def agree(what, mine, theirs, count):
    print(f"{what}: Apus {mine:.4%}, PyTorch {theirs:.4%} of {count}")
    # rounding may turn the one digit whose two best scores are equal to seven digits
    return abs(mine - theirs) * count <= 1.001


def main():
    apus = sys.argv[1]
    torch.set_num_threads(2)
    (images, labels), held_out = twins.digits(), twins.held_out_digits()
    test = images[held_out], labels[held_out]
    good = True
    with tempfile.TemporaryDirectory() as folder:
        twins.run_apus(apus, "train", "digits", "--epochs", "2", "--seed", "1", "--output", folder)
        path = os.path.join(folder, "model.safetensors")
        model = twins.network("digits")
        model.load_state_dict(load_file(path), strict=True)
        mine = twins.run_apus(apus, "evaluate", path, "digits")["accuracy"]
        good &= agree("trained by Apus", mine, twins.accuracy(model.eval(), *test), len(test[1]))

        model = twins.train("digits", images[~held_out], labels[~held_out], seed=1, epochs=2)
        save_file(model.state_dict(), path, metadata=twins.METADATA)
        mine = twins.run_apus(apus, "evaluate", path, "digits")["accuracy"]
        good &= agree("trained by PyTorch", mine, twins.accuracy(model, *test), len(test[1]))

        pictures = glob.glob(folder + "/*.png")
        for picture in pictures:
            pixels = np.asarray(Image.open(picture))
            print(f"{os.path.basename(picture)}: {pixels.shape[1]}×{pixels.shape[0]}, {len(np.unique(pixels))} levels")
            good &= len(np.unique(pixels)) > 2
        good &= len(pictures) >= 3
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

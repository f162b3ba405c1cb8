"""What `apus predict MODEL IMAGE` does, in PyTorch.

    predict_torch.py make MODEL IMAGE      a state dictionary (untrained: that takes as long) and a picture of a digit
    predict_torch.py predict MODEL IMAGE   prints the image's class and its probability
"""

import sys

import numpy as np
import torch
from PIL import Image

import twins_path  # noqa: F401
import twins


def make(model, image):
    torch.save(twins.network("digits").state_dict(), model)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(image)


def predict(model, image):
    network = twins.network("digits")
    network.load_state_dict(torch.load(model, weights_only=True))
    network.eval()
    pixels = np.asarray(Image.open(image).convert("L"), dtype=np.float32) / 255
    with torch.inference_mode():
        probabilities = torch.softmax(network(torch.from_numpy(pixels)[None, None]), 1)[0]
    best = int(probabilities.argmax())
    print(f"{best} {float(probabilities[best]):.4f}", flush=True)


{"make": make, "predict": predict}[sys.argv[1]](sys.argv[2], sys.argv[3])

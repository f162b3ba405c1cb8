"""What `apus train digits` does, in PyTorch: the same digits, split, network, optimizer, batches and epochs."""

import os

import torch

import twins_path  # noqa: F401
import twins

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
images, labels = twins.digits()
held_out = twins.held_out_digits()
model = twins.train("digits", images[~held_out], labels[~held_out], seed=0)
print(f"accuracy {twins.accuracy(model, images[held_out], labels[held_out]):.4f}", flush=True)

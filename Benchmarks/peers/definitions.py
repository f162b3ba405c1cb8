"""Sizes that the peers share. Benchmarks/README.md says what each workload is."""

ELEMENTS = 1 << 24
ROWS = (4096, 1024)
EAGER_ADDS, TRACKED_ADDS, SCALAR_GRADIENTS = 10_000, 1_000, 2_000
ADAMW_SHAPES = [(512, 976), (976,), (512,)] * 50
EPOCH, BATCH = 6_400, 64

# name: batch, input channels, height = width, output channels, kernel, groups; "same" padding, stride 1, no bias
CONVOLUTIONS = {
    "c3x3_64_56": (32, 64, 56, 64, 3, 1),
    "c3x3_256_14": (8, 256, 14, 256, 3, 1),
    "c1x1_256_512_28": (8, 256, 28, 512, 1, 1),
    "dw3x3_96_56": (8, 96, 56, 96, 3, 96),
}

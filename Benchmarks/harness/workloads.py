"""The table: what is measured, in which unit, against whom, and what is aimed at. README.md defines each workload."""

from dataclasses import dataclass, field

ELEMENTS = 1 << 24
ROWS = 4096 * 1024
PARAMETERS = 25_060_000
ALL = ("torch", "torch-keep", "torch-compile", "tf", "jax")


@dataclass(frozen=True)
class Target:
    """Apus's variant `apus` is to take at most 1/`times` of the time of the fastest of `against` (framework, or
    framework:variant)."""
    times: float
    against: tuple
    apus: str = ""


@dataclass(frozen=True)
class Workload:
    name: str
    unit: str  # ns, us, ms: time for one of `amount`; GB/s, GFLOP/s, img/s, steps/s: `amount` (x 1e9 for G...) a second
    amount: float = 1
    targets: tuple = ()
    apus: tuple = ("",)  # Apus's variants: "" is the plain name, others are NAME/VARIANT
    variants: dict = field(default_factory=dict)  # framework -> further variants

    def value(self, seconds):
        """A call's time in the unit."""
        scale = {"ns": 1e9, "us": 1e6, "ms": 1e3}.get(self.unit)
        if scale:
            return seconds * scale / self.amount
        return self.amount / seconds / (1e9 if self.unit.startswith("G") else 1)


def convolutions():
    sizes = {"c3x3_64_56": (32, 64, 56, 64, 3, 1), "c3x3_256_14": (8, 256, 14, 256, 3, 1),
             "c1x1_256_512_28": (8, 256, 28, 512, 1, 1), "dw3x3_96_56": (8, 96, 56, 96, 3, 96)}
    both = {"torch": ("", "channels_last"), "torch-keep": ("", "channels_last")}
    for name, (batch, channels, side, outputs, kernel, groups) in sizes.items():
        forward = 2.0 * batch * side * side * outputs * (channels // groups) * kernel * kernel
        yield Workload(f"{name}_fwd", "GFLOP/s", forward, variants=both)
        yield Workload(f"{name}_fwdbwd", "GFLOP/s", 3 * forward, variants=both)


BOTH = ("eager", "compiled")

WORKLOADS = [
    Workload("eager_add", "ns", 10_000, (Target(12, ("torch", "torch-keep")),)),
    Workload("eager_add_tracked_fwdbwd", "ns", 1_000),
    Workload("scalar_autograd", "us", 2_000, (Target(12, ("torch", "torch-keep")),), variants={"jax": ("jit",)}),
    Workload("eager_mm64", "us"),
    Workload("elementwise_chain", "GB/s", 8.0 * ELEMENTS, apus=BOTH, variants={"tf": ("", "xla")}),
    Workload("softmax", "GB/s", 8.0 * ROWS),
    Workload("layernorm", "GB/s", 8.0 * ROWS),
    Workload("sum_16M", "GB/s", 4.0 * ELEMENTS),
    Workload("mm_1024", "GFLOP/s", 2.0 * 1024**3),
    Workload("adamw_update", "GB/s", 28.0 * PARAMETERS, apus=BOTH),
    *convolutions(),
    Workload("mlp_step", "steps/s", 1, (Target(4, ("torch", "torch-keep"), "eager"), Target(1.5, ("jax",), "compiled")),
             apus=BOTH, variants={"tf": ("", "xla")}),
    Workload("seed_cnn_train", "img/s", 6_400, (Target(1.5, ("torch-keep", "torch-keep:index_only", "tf"), "compiled"),),
             apus=BOTH, variants={"torch": ("", "index_only"), "torch-keep": ("", "index_only")}),
    Workload("seed_cnn_infer_b1", "us", 1, (Target(3, ("torch", "torch-keep"), "compiled"),), apus=BOTH),
]

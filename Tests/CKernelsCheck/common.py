"""Loads the kernels as a shared object and gives the checks what they share."""

import ctypes
import os
import re
import subprocess
import tempfile
from pathlib import Path

import ml_dtypes
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "Sources" / "CKernels"
OPENMP = ROOT / "Sources" / "COpenMP"
CORE = ROOT / "Sources" / "CApus"


def build():
    """Compiles the sources as the package does (-O2) into one shared object; CK_LIBRARY names one made before."""
    if "CK_LIBRARY" in os.environ:
        return os.environ["CK_LIBRARY"]
    target = Path(tempfile.gettempdir()) / f"libckernels-{os.getuid()}.so"
    sources = [*sorted(SOURCES.glob("*.c")), OPENMP / "openmp.c", *CORE.glob("limits.c")]
    newest = max(path.stat().st_mtime for path in SOURCES.rglob("*.[ch]"))
    if not target.exists() or target.stat().st_mtime < newest:
        flags = ["-O2", "-g", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-I", str(SOURCES / "include"), "-I", str(OPENMP / "include"), "-I", str(CORE / "include")]
        flags += os.environ.get("CK_FLAGS", "").split()
        subprocess.check_call(["clang", *flags, *map(str, sources), "-o", str(target), "-ldl", "-lm"])
    return str(target)


lib = ctypes.CDLL(build())
lib.ck_cpu_level.restype = ctypes.c_char_p
for lookup in ("ck_binary", "ck_compare", "ck_unary"):
    getattr(lib, lookup).restype = ctypes.c_void_p

# The enumerators of the header, by name, so that the two cannot drift apart.
C = {
    name: int(value)
    for name, value in re.findall(r"\b(CK_[A-Z0-9_]+) = (\d+),", (SOURCES / "include" / "ckernels.h").read_text())
}
DTYPES = {
    "CK_BOOL": np.bool_, "CK_UINT8": np.uint8, "CK_INT8": np.int8, "CK_INT16": np.int16, "CK_UINT16": np.uint16,
    "CK_INT32": np.int32, "CK_UINT32": np.uint32, "CK_INT64": np.int64, "CK_UINT64": np.uint64,
    "CK_FLOAT16": np.float16, "CK_BFLOAT16": ml_dtypes.bfloat16, "CK_FLOAT32": np.float32, "CK_FLOAT64": np.float64,
}
CODE = {np.dtype(dtype): C[name] for name, dtype in DTYPES.items()}
ARITHMETIC = [np.bool_, np.uint8, np.int32, np.int64, np.float32, np.float64]
FLOATS = [np.float32, np.float64]

random = np.random.default_rng(7)


def code(dtype):
    return CODE[np.dtype(dtype)]


def ptr(array):
    if array is None:
        return None
    return ctypes.c_void_p(array.ctypes.data)


def i64(value):
    return ctypes.c_int64(int(value))


def f64(value):
    return ctypes.c_double(value)


def i64s(values):
    return (ctypes.c_int64 * max(len(values), 1))(*[int(v) for v in values])


def call(function, *arguments, status=0):
    got = getattr(lib, function)(*arguments)
    assert got == status, f"{function} returned {got}, not {status}"


class Log:
    """Counts comparisons; remembers failures."""

    def __init__(self):
        self.count, self.failures = 0, []

    def check(self, what, good, detail=""):
        self.count += 1
        if not good:
            self.failures.append(f"{what}: {detail}")
            print("FAIL", what, detail, flush=True)

    def equal(self, what, got, wanted):
        same = got.shape == wanted.shape and np.array_equal(
            got, wanted, equal_nan=np.issubdtype(wanted.dtype, np.floating))
        where = ""
        if not same:
            bad = np.flatnonzero(~((got == wanted) | ((got != got) & (wanted != wanted))))[:3]
            where = f"at {bad}: {got.ravel()[bad]} not {wanted.ravel()[bad]}"
        self.check(what, same, where)

    def close(self, what, got, wanted, relative=1e-6, absolute=0.0):
        got, wanted = got.astype(np.float64), np.asarray(wanted, np.float64)
        with np.errstate(all="ignore"):
            error = np.abs(got - wanted) - absolute - relative * np.abs(wanted)
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted)) | (error <= 0)
        bad = np.flatnonzero(~same)[:3]
        self.check(what, same.all(), f"at {bad}: {got.ravel()[bad]} not {wanted.ravel()[bad]}")


log = Log()


def sample(dtype, shape, low=-4, high=4):
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return random.integers(0, 2, shape).astype(bool)
    if dtype.kind == "u":
        return random.integers(0, 9, shape).astype(dtype)
    if dtype.kind == "i":
        return random.integers(-9, 9, shape).astype(dtype)
    return random.uniform(low, high, shape).astype(dtype)

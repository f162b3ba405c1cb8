"""Unary, binary, comparing kernels, select, casts, fill, progressions."""

import ctypes

import ml_dtypes
import numpy as np
from scipy import special

from common import ARITHMETIC, C, DTYPES, FLOATS, call, code, f64, i64, lib, log, ptr, random, sample

LENGTHS = [0, 1, 3, 17, 100, 1031, 100003]
F32_EDGES = np.array(
    [0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-40, 1.17549435e-38, 3.4e38, -3.4e38, 88.7, 88.73, 89,
     -87.3, -100, -103.9, -104.5, 1e-10, -1e-10, 0.5, -0.5, 2.5, 1.5, -2.5, 9.01, 20, -20, 0.99999994, 1.0000001, 1e5,
     -1e5, 1.1e5, 1e10, 3.9, 4.0, -4.0, np.pi, np.pi / 2, 100, -17, 16777216.0, 8388608.5], np.float32)


def apply_unary(op, x, out_dtype, in_place=False):
    kernel = lib.ck_unary(C[op], code(x.dtype))
    if not kernel:
        return None
    out = x.copy() if in_place else np.empty(x.shape, out_dtype)
    source = out if in_place else x
    ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(kernel)(x.size, ptr(source), ptr(out))
    return out


def erf_gelu(x):
    return x * special.ndtr(x)


UNARY = {
    # name: (reference in float64, relative, absolute error allowed for float32, range)
    "CK_EXP": (np.exp, 2e-7, 1e-45, (-110, 95)),
    "CK_LOG": (np.log, 2.5e-7, 0, (0, 1e4)),
    "CK_LOG1P": (np.log1p, 3e-7, 0, (-1, 100)),
    "CK_EXPM1": (np.expm1, 3e-7, 0, (-25, 95)),
    "CK_SQRT": (np.sqrt, 1e-7, 0, (0, 100)),
    "CK_RSQRT": (lambda x: 1 / np.sqrt(x), 2e-7, 0, (0, 100)),
    "CK_SIN": (np.sin, 1.5e-7, 6e-8, (-1e5, 1e5)),
    "CK_COS": (np.cos, 1.5e-7, 6e-8, (-1e5, 1e5)),
    "CK_TANH": (np.tanh, 3e-7, 0, (-11, 11)),
    "CK_ERF": (special.erf, 3e-7, 0, (-5, 5)),
    "CK_RECIPROCAL": (lambda x: 1 / x, 1e-7, 0, (-5, 5)),
    "CK_SIGMOID": (special.expit, 4e-7, 2e-38, (-110, 110)),
    "CK_SILU": (lambda x: x * special.expit(x), 5e-7, 1e-36, (-80, 80)),
    "CK_GELU_TANH": (lambda x: x * special.expit(1.5957691216057308 * (x + 0.044715 * x**3)), 3e-6, 3e-7, (-10, 10)),
    "CK_GELU_ERF": (erf_gelu, 4e-7, 3e-44, (-14, 14)),
    "CK_SOFTPLUS": (lambda x: np.logaddexp(0, x), 4e-7, 2e-38, (-110, 110)),
    "CK_NORMAL_CDF": (special.ndtr, 4e-7, 3e-45, (-15, 15)),
    "CK_NORMAL_PDF": (lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi), 3e-7, 3e-45, (-15, 15)),
}
EXACT_UNARY = {
    "CK_NEGATE": np.negative, "CK_ABS": np.abs, "CK_SIGN": np.sign, "CK_SQUARE": np.square,
    "CK_RELU": lambda x: np.where(x < 0, x.dtype.type(0), x), "CK_FLOOR": np.floor, "CK_CEIL": np.ceil,
    "CK_ROUND": np.round, "CK_TRUNC": np.trunc, "CK_LOGICAL_NOT": np.logical_not, "CK_ISNAN": np.isnan,
    "CK_NOT": np.invert,
}


def unary():
    for op, (reference, relative, absolute, (low, high)) in UNARY.items():
        for dtype in FLOATS:
            for n in (*LENGTHS, 400_000):
                x = random.uniform(low, high, n).astype(dtype)
                if n == 400_000:  # small magnitudes as well
                    x = (x * 10.0 ** random.uniform(-8, 0, n)).astype(dtype)
                if n == 1031:
                    x[:F32_EDGES.size] = F32_EDGES
                if op == "CK_LOG" and n == 100003:
                    x = np.exp(random.uniform(-103, 88, n)).astype(dtype)
                with np.errstate(all="ignore"):
                    wanted = reference(x.astype(np.float64))
                    if dtype == np.float32:
                        wanted = np.where(np.abs(wanted) > 3.4028235677973366e38, np.sign(wanted) * np.inf, wanted)
                if op in ("CK_SILU", "CK_GELU_TANH", "CK_GELU_ERF"):  # the limits, where NumPy has inf - inf or inf * 0
                    wanted = np.where(x == -np.inf, 0, np.where(x == np.inf, x, wanted))
                r, a = (relative, max(absolute, 3e-45)) if dtype == np.float32 else (2e-15, 1e-300)
                if dtype == np.float64 and op in ("CK_GELU_TANH", "CK_GELU_ERF", "CK_NORMAL_CDF", "CK_NORMAL_PDF"):
                    r, a = 1e-13, 1e-15  # SciPy's own error
                log.close(f"{op} {dtype.__name__} {n}", apply_unary(op, x, dtype), wanted, r, a)
                if n == 1031:
                    log.close(f"{op} in place", apply_unary(op, x, dtype, in_place=True), wanted, r, a)
    for op, reference in EXACT_UNARY.items():
        logical = op in ("CK_LOGICAL_NOT", "CK_ISNAN")
        for dtype in ARITHMETIC:
            for n in LENGTHS:
                x = sample(dtype, n)
                if dtype in FLOATS and n == 1031:
                    x[:F32_EDGES.size] = F32_EDGES
                got = apply_unary(op, x, np.bool_ if logical else dtype)
                if got is None:
                    continue
                with np.errstate(all="ignore"):
                    log.equal(f"{op} {dtype.__name__} {n}", got, reference(x).astype(got.dtype))
    log.check("no exp for integers", apply_unary("CK_EXP", np.zeros(1, np.int32), np.int32) is None)


def apply_binary(lookup, op, dtype, mode, a, b, out):
    kernel = getattr(lib, lookup)(C[op], code(dtype), C[mode])
    if not kernel:
        return None
    pointer = ctypes.c_void_p
    ctypes.CFUNCTYPE(None, ctypes.c_int64, pointer, pointer, pointer)(kernel)(out.size, ptr(a), ptr(b), ptr(out))
    return out


def integer_power(a, b):
    """Wrapping power with this library's rule for negative exponents, by Python's integers."""
    bits = a.dtype.itemsize * 8
    out = []
    for x, y in zip(a.tolist(), b.tolist()):
        v = (1 if x == 1 else (-1 if y & 1 else 1) if x == -1 else 0) if y < 0 else pow(x, y, 1 << bits)
        out.append(v - (1 << bits) if a.dtype.kind == "i" and v >= 1 << (bits - 1) else v)
    return np.array(out, a.dtype)


def truncated(a, b):
    q = np.abs(a.astype(object)) // np.where(b == 0, 1, np.abs(b.astype(object)))
    q = np.where((a < 0) != (b < 0), -q, q)
    bits = a.dtype.itemsize * 8  # the least number over -1 wraps
    q = np.where((a.dtype.kind == "i") & (q == 1 << (bits - 1)), -q, q)
    return np.where(b == 0, 0, q).astype(a.dtype)


def references(dtype):
    integer = np.dtype(dtype).kind in "iu"
    table = {
        "CK_ADD": np.add, "CK_SUBTRACT": np.subtract, "CK_MULTIPLY": np.multiply,
        "CK_MAXIMUM": np.maximum, "CK_MINIMUM": np.minimum,
        "CK_DIVIDE": truncated if integer else np.divide,
        "CK_REMAINDER": (lambda a, b: np.where(b == 0, 0, np.mod(a, np.where(b == 0, 1, b)))) if integer else np.mod,
        "CK_POWER": integer_power if integer else np.power, "CK_ATAN2": np.arctan2,
        "CK_AND": np.bitwise_and, "CK_OR": np.bitwise_or, "CK_XOR": np.bitwise_xor,
        "CK_LOGICAL_AND": np.logical_and, "CK_LOGICAL_OR": np.logical_or, "CK_LOGICAL_XOR": np.logical_xor,
    }
    if dtype == np.bool_:
        for op in ("CK_SUBTRACT", "CK_DIVIDE", "CK_REMAINDER", "CK_POWER", "CK_ATAN2"):
            del table[op]
    elif integer:
        del table["CK_ATAN2"]
    else:
        for op in ("CK_AND", "CK_OR", "CK_XOR"):
            del table[op]
    return table


COMPARISONS = {
    "CK_EQUAL": np.equal, "CK_NOT_EQUAL": np.not_equal, "CK_LESS": np.less, "CK_LESS_EQUAL": np.less_equal,
    "CK_GREATER": np.greater, "CK_GREATER_EQUAL": np.greater_equal,
}
MODES = ["CK_VECTOR_VECTOR", "CK_VECTOR_SCALAR", "CK_SCALAR_VECTOR"]


def binary():
    defined = 0
    for dtype in ARITHMETIC:
        for lookup, table in (("ck_binary", references(dtype)), ("ck_compare", COMPARISONS)):
            for op, reference in table.items():
                exact = op not in ("CK_POWER", "CK_ATAN2", "CK_REMAINDER")
                for mode in MODES:
                    for n in LENGTHS[:-1] + ([100003] if exact else [5003]):
                        a, b = sample(dtype, n), sample(dtype, n)
                        if dtype in FLOATS and n == 1031:
                            with np.errstate(all="ignore"):
                                a[:F32_EDGES.size], b[-F32_EDGES.size:] = F32_EDGES, F32_EDGES
                            a[-3:] = b[:3] = np.nan
                        if np.dtype(dtype).kind == "i" and n == 1031:
                            a[:5], b[:5] = np.iinfo(dtype).min, [-1, 0, 1, 2, np.iinfo(dtype).max]
                            if op == "CK_POWER":
                                b[4] = 3
                        if op == "CK_POWER" and dtype in FLOATS and n >= 100 and mode == "CK_VECTOR_SCALAR":
                            b[0] = [2, 3, 0.5, -1, 1, 2.25][random.integers(6)]
                        x = a if mode != "CK_SCALAR_VECTOR" else np.resize(a[:1], n) if n else a
                        y = b if mode != "CK_VECTOR_SCALAR" else np.resize(b[:1], n) if n else b
                        logical = lookup == "ck_compare" or "LOGICAL" in op
                        with np.errstate(all="ignore"):
                            if dtype == np.float32 and op in ("CK_POWER", "CK_ATAN2"):
                                x, y = x.astype(np.float64), y.astype(np.float64)
                            wanted = reference(x, y).astype(np.bool_ if logical else dtype)
                        one = np.zeros(1, dtype)
                        a0, b0 = (a if n else one), (b if n else one)
                        got = apply_binary(lookup, op, dtype, mode, a0, b0, np.empty(n, wanted.dtype))
                        if got is None:
                            log.check(f"{op} {np.dtype(dtype)} {mode}", False, "no kernel")
                            continue
                        defined += 1
                        what = f"{op} {np.dtype(dtype)} {mode} {n}"
                        if exact:
                            log.equal(what, got, wanted)
                        else:
                            eps = 2e-7 if dtype == np.float32 else 1e-15
                            log.close(what, got, wanted, eps, 1e-45)
                        if exact and n == 1031 and not logical:
                            for target, vector in ((a.copy(), "a"), (b.copy(), "b")):
                                if vector == "a" and mode != "CK_SCALAR_VECTOR":
                                    log.equal(what + " over a", apply_binary(lookup, op, dtype, mode, target, b, target), wanted)
                                if vector == "b" and mode != "CK_VECTOR_SCALAR":
                                    log.equal(what + " over b", apply_binary(lookup, op, dtype, mode, a, target, target), wanted)
    # Every pair of edge values.
    edges = np.concatenate([F32_EDGES, np.array([2, 3, -2, -3, 0.25, 1e-3, 1 + 2.0**-23, 1e20, 33554432, 7.5], np.float32)])
    for dtype in FLOATS:
        a, b = np.repeat(edges, edges.size).astype(dtype), np.tile(edges, edges.size).astype(dtype)
        for op, reference in references(dtype).items():
            x, y = (a.astype(np.float64), b.astype(np.float64)) if op in ("CK_POWER", "CK_ATAN2") else (a, b)
            logical = "LOGICAL" in op
            with np.errstate(all="ignore"):
                wanted = reference(x, y).astype(np.bool_ if logical else dtype)
            got = apply_binary("ck_binary", op, dtype, "CK_VECTOR_VECTOR", a, b, np.empty(a.size, wanted.dtype))
            log.close(f"{op} {np.dtype(dtype)} edges", got, wanted, 2e-7 if dtype == np.float32 else 1e-15, 1.5e-45)
    log.check("subtract is not for bool", not lib.ck_binary(C["CK_SUBTRACT"], C["CK_BOOL"], 0))
    log.check("and is not for floats", not lib.ck_binary(C["CK_AND"], C["CK_FLOAT32"], 0))
    log.check("float16 has no arithmetic", not lib.ck_binary(C["CK_ADD"], C["CK_FLOAT16"], 0))


def select_fill_iota():
    for size, dtype in ((1, np.uint8), (2, np.uint16), (4, np.float32), (8, np.float64), (16, np.complex128)):
        for n in LENGTHS[1:]:
            condition = sample(np.bool_, n)
            a, b = random.integers(0, 99, n).astype(dtype), random.integers(0, 99, n).astype(dtype)
            for mode in MODES + ["CK_SCALAR_SCALAR"]:
                x = a[:1] if mode in ("CK_SCALAR_VECTOR", "CK_SCALAR_SCALAR") else a
                y = b[:1] if mode in ("CK_VECTOR_SCALAR", "CK_SCALAR_SCALAR") else b
                out = np.empty(n, dtype)
                call("ck_select", i64(size), C[mode], i64(n), ptr(condition), ptr(a), ptr(b), ptr(out))
                log.equal(f"select {size} {mode} {n}", out, np.where(condition, x, y))
            out = np.empty(n, dtype)
            call("ck_fill", i64(size), i64(n), ptr(a), ptr(out))
            log.equal(f"fill {size} {n}", out, np.full(n, a[0]))
    call("ck_fill", i64(3), i64(1), ptr(np.zeros(1)), ptr(np.zeros(1)), status=C["CK_UNSUPPORTED"])
    for dtype in ARITHMETIC[1:]:
        for n in LENGTHS:
            start, step = np.array([5], dtype), np.array([3], dtype)
            out = np.empty(n, dtype)
            call("ck_iota", code(dtype), i64(n), ptr(start), ptr(step), ptr(out))
            log.equal(f"iota {dtype.__name__} {n}", out, (5 + 3 * np.arange(n)).astype(dtype))


def saturating(x, dtype):
    """Floating to integer as the header promises, through Python's integers."""
    info = np.iinfo(dtype)
    out = []
    for v in x.astype(np.float64).tolist():
        out.append(0 if v != v else info.min if v <= info.min else info.max if v >= info.max else int(v))
    return np.array(out, dtype)


def casts():
    wide = np.concatenate([F32_EDGES.astype(np.float64), [127.5, 255.9, 256, -128.9, 65504, 65519.9, 65520, 65535.5, 1e300,
                           2**31 - 1, 2.0**31, -(2.0**31), 2.0**32, 2.0**53, 2.0**63, -(2.0**63), 2.0**64, 6e-8, 2.9e-8,
                           5.96e-8, 6.1e-5, 1.0009765625, 1.00048828125, 1.0004882812500002, 1.00390625, 1.001953125]])
    for source in DTYPES.values():
        s = np.dtype(source)
        for n in (1, 2077):
            with np.errstate(all="ignore"):
                if s.kind in "fV" or s == np.dtype(ml_dtypes.bfloat16):
                    x = np.concatenate([wide, random.normal(size=1000) * 300, random.normal(size=1000) * 1e-4])[:n]
                    x = x.astype(source)
                elif s == np.bool_:
                    x = sample(np.bool_, n)
                else:
                    info = np.iinfo(s)
                    x = random.integers(info.min, info.max, n, dtype=s, endpoint=True)
            for target in DTYPES.values():
                t = np.dtype(target)
                out = np.empty(x.size, target)
                call("ck_cast", code(s), code(t), i64(x.size), ptr(x), ptr(out))
                what = f"cast {s} to {t} {n}"
                floating = s.kind in "fV" or s == np.dtype(ml_dtypes.bfloat16)
                with np.errstate(all="ignore"):
                    if t == np.bool_:
                        wanted = x.astype(np.float64) != 0 if floating else x != 0
                    elif t.kind in "iu" and floating:
                        wanted = saturating(x, target)
                    elif t == np.dtype(ml_dtypes.bfloat16) and s == np.float64:
                        continue  # ml_dtypes rounds twice on this way; checked below
                    elif t in (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)) and not floating:
                        wanted = x.astype(np.float64).astype(np.float32).astype(target)
                        if s.itemsize == 8 or s.itemsize == 4:  # double rounding in the reference: allow one step
                            difference = np.abs(out.astype(np.float64) - wanted.astype(np.float64))
                            log.check(what, (np.nan_to_num(difference) <= 0.008 * np.abs(wanted.astype(np.float64))).all())
                            continue
                    else:
                        wanted = x.astype(target)
                log.equal(what, out.astype(np.float64) if t.kind in "fV" else out,
                          wanted.astype(np.float64) if t.kind in "fV" else wanted)
    # Ties that a detour through float32 would round the wrong way: just above and below half of bfloat16's last place.
    x = np.array([1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-8 - 2.0**-40, 1 + 2.0**-8, 1 + 3 * 2.0**-8, -(1 + 2.0**-8 + 2.0**-40)])
    out = np.empty(5, ml_dtypes.bfloat16)
    call("ck_cast", C["CK_FLOAT64"], C["CK_BFLOAT16"], i64(5), ptr(x), ptr(out))
    log.equal("double to bfloat16 rounds once", out.astype(np.float64),
              np.array([1 + 2.0**-7, 1, 1, 1 + 2.0**-6, -(1 + 2.0**-7)]))
    # Every float16 there is, there and back.
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    wide, back = np.empty(65536, np.float32), np.empty(65536, np.float16)
    call("ck_cast", C["CK_FLOAT16"], C["CK_FLOAT32"], i64(65536), ptr(every), ptr(wide))
    call("ck_cast", C["CK_FLOAT32"], C["CK_FLOAT16"], i64(65536), ptr(wide), ptr(back))
    log.equal("all float16 to float32", wide, every.astype(np.float32))
    log.equal("and back", back, every)


def run():
    unary()
    binary()
    select_fill_iota()
    casts()

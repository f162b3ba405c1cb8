"""Zeros of both signs, subnormal numbers, the largest ones, infinities and NaN through every element-wise kernel: the value,
and that it does not depend on what else is in the vector, on its length, on an operand being one element, or on the
kernel running inside a fused program. Signs of zeros count."""

import numpy as np
from scipy import special

from common import C, FLOATS, log
from elementwise import COMPARISONS, MODES, apply_binary, apply_unary, references
from fused import run_program

MAGNITUDES = [0, 0.25, 0.5, 1, 1.5, 2, 2.5, 3, 9, 20, 87, 88.5, 89.5, 95, 103, 104, 111, 700, 746, 1e5, 1.1e5, 1e8, 1e-8, 1e-20, 1e19, 2e19, 1e20,
              1e30, 1e38, np.inf]


def specials(dtype):
    info = np.finfo(dtype)
    own = [info.max, info.tiny, info.smallest_subnormal, info.tiny - info.smallest_subnormal, 3 * info.smallest_subnormal]
    values = np.array(MAGNITUDES + own, dtype)
    return np.concatenate([values, -values, np.array([np.nan], dtype)])


def gated(formula):
    """x times something that falls to 0 faster than x grows: the limits where the formula has inf * 0."""
    return lambda x: np.where(np.isinf(x), np.where(x > 0, np.inf, -0.0), formula(x))


def tanh_gelu(x):
    u = -1.5957691216057308 * (x + 0.044715 * x**3)
    return x * np.where(u > 0, np.exp(-np.abs(u)), 1) / (1 + np.exp(-np.abs(u)))


def keeping_zero(function):
    return lambda x: np.where(x == 0, x, function(x))


# name: (reference in float64, relative error, absolute error allowed for float32)
UNARY = {
    "CK_EXP": (np.exp, 2e-7, 0), "CK_EXPM1": (np.expm1, 3e-7, 0), "CK_LOG": (np.log, 2.5e-7, 0),
    "CK_LOG1P": (np.log1p, 3e-7, 0), "CK_SQRT": (np.sqrt, 1e-7, 0), "CK_RSQRT": (lambda x: 1 / np.sqrt(x), 2e-7, 0),
    "CK_SIN": (np.sin, 1.5e-7, 6e-8), "CK_COS": (np.cos, 1.5e-7, 6e-8), "CK_TANH": (np.tanh, 3e-7, 0),
    "CK_ERF": (keeping_zero(special.erf), 3e-7, 0), "CK_RECIPROCAL": (lambda x: 1 / x, 1e-7, 0),
    "CK_SIGMOID": (special.expit, 4e-7, 0), "CK_SILU": (gated(lambda x: x * special.expit(x)), 5e-7, 0),
    "CK_GELU_TANH": (gated(tanh_gelu), 4e-5, 3e-7), "CK_GELU_ERF": (gated(lambda x: 0.5 * x * special.erfc(-x / np.sqrt(2))), 3e-7, 3e-7),
    "CK_SOFTPLUS": (lambda x: np.logaddexp(0, x), 4e-7, 0),
    "CK_NEGATE": (np.negative, 0, 0), "CK_ABS": (np.abs, 0, 0), "CK_SIGN": (np.sign, 0, 0), "CK_SQUARE": (np.square, 6e-8, 0),
    "CK_RELU": (lambda x: np.where(x <= 0, 0, x), 0, 0), "CK_FLOOR": (np.floor, 0, 0), "CK_CEIL": (np.ceil, 0, 0),
    "CK_ROUND": (np.round, 0, 0), "CK_TRUNC": (np.trunc, 0, 0), "CK_LOGICAL_NOT": (np.logical_not, 0, 0), "CK_ISNAN": (np.isnan, 0, 0),
}


def right(what, got, wanted, relative, absolute):
    """Like `close`, and zeros and infinities have their sign."""
    log.close(what, got, wanted, relative, absolute)
    zero = (wanted == 0) & (got == 0)
    wrong = np.flatnonzero(zero & (np.signbit(got) != np.signbit(wanted)))
    log.check(f"{what}: sign of zero", wrong.size == 0, f"at {wrong[:3]}")


def same(what, got, wanted):
    """Bit for bit, NaN for NaN."""
    integer = np.dtype(f"u{got.dtype.itemsize}")
    good = (got.view(integer) == wanted.view(integer)) | ((got != got) & (wanted != wanted))
    log.check(what, good.all(), f"at {np.flatnonzero(~good)[:3]}")


def unary(dtype):
    x = specials(dtype)
    for op, (reference, relative, absolute) in UNARY.items():
        what = f"special {op} {dtype.__name__}"
        result = np.bool_ if op in ("CK_LOGICAL_NOT", "CK_ISNAN") else dtype
        alone = np.concatenate([apply_unary(op, x[i:i + 1], result) for i in range(x.size)])
        with np.errstate(all="ignore"):
            wanted = reference(x.astype(np.float64)).astype(result)
        if dtype == np.float64:
            relative, absolute = max(relative and 4e-15, 1e-13 * ("GELU" in op)), 0
        least = np.finfo(dtype).smallest_subnormal
        if result == dtype:
            right(what, alone, wanted, relative, absolute + (2 * least if relative else 0))
        else:
            log.equal(what, alone, wanted)
        for i, value in enumerate(x):
            together = all(np.array_equal(apply_unary(op, np.full(n, value), result), np.full(n, alone[i]), equal_nan=result == dtype)
                           for n in range(1, 34))
            log.check(f"{what} {value} at any length", together)
            for j, other in enumerate(x):
                n = 2 + (i * x.size + j) % 32
                places = np.arange(n) % 2 == j % 2
                same(f"{what} {value} beside {other}", apply_unary(op, np.where(places, value, other).astype(dtype), result),
                     np.where(places, alone[i], alone[j]).astype(result))
        got, = run_program([(op[3:], dtype, "i0", "r0"), ("COPY", result, "r0", "o0")], [x], [result], x.size)
        same(f"{what} in a fused program", got, alone)


def ordered(choose):
    """-0 is below 0; of NumPy's own answer for the two that is left open."""
    def function(a, b):
        zeros = (a == 0) & (b == 0)
        negative = np.logical_and if choose is np.maximum else np.logical_or
        return np.where(zeros, np.where(negative(np.signbit(a), np.signbit(b)), a.dtype.type(-0.0), a.dtype.type(0)), choose(a, b))
    return function


def binary(dtype):
    x = specials(dtype)
    a, b = np.repeat(x, x.size), np.tile(x, x.size)
    table = {**references(dtype), "CK_MAXIMUM": ordered(np.maximum), "CK_MINIMUM": ordered(np.minimum)}
    for lookup, ops in (("ck_binary", table), ("ck_compare", COMPARISONS)):
        for op, reference in ops.items():
            what = f"special {op} {dtype.__name__}"
            result = np.bool_ if lookup == "ck_compare" or "LOGICAL" in op else dtype

            def call(left, right_, n, mode="CK_VECTOR_VECTOR"):
                return apply_binary(lookup, op, dtype, mode, left, right_, np.empty(n, result))

            alone = np.concatenate([call(a[i:i + 1], b[i:i + 1], 1) for i in range(a.size)])
            with np.errstate(all="ignore"):
                wide = op in ("CK_POWER", "CK_ATAN2") and dtype == np.float32
                wanted = reference(*(v.astype(np.float64) if wide else v for v in (a, b))).astype(result)
            relative = (2e-7 if dtype == np.float32 else 2e-15) if op in ("CK_POWER", "CK_ATAN2", "CK_REMAINDER") else 0
            if result == dtype:
                right(what, alone, wanted, relative, np.finfo(dtype).smallest_subnormal if relative else 0)
            else:
                log.equal(what, alone, wanted)
            same(f"{what} all together", call(a, b, a.size), alone)
            for start in range(0, a.size, 37):
                n = min(1 + start % 33, a.size - start)
                same(f"{what} {n} from {start}", call(a[start:start + n].copy(), b[start:start + n].copy(), n), alone[start:start + n])
            # Each pair beside each value with itself.
            for j, other in enumerate(x):
                left, right_ = a.copy(), b.copy()
                left[j % 2::2] = right_[j % 2::2] = other
                expected = alone.copy()
                expected[j % 2::2] = alone[j * x.size + j]
                for start in range(0, a.size, 33):
                    part = slice(start, start + 33)
                    same(f"{what} beside {other}", call(left[part].copy(), right_[part].copy(), left[part].size), expected[part])
            got, = run_program([(op[3:], dtype, "i0 i1", "r0"), ("COPY", result, "r0", "o0")], [a, b], [result], a.size)
            same(f"{what} in a fused program", got, alone)
            # One operand a single element. Powers with a common exponent are products: equal but for rounding.
            for j, value in enumerate(x):
                one = np.array([value])
                for mode, left, right_, expected in ((MODES[1], x, one, alone[j::x.size]), (MODES[2], one, x, alone[j * x.size:(j + 1) * x.size])):
                    got = call(left, right_, x.size, mode)
                    if op == "CK_POWER" and mode == MODES[1]:
                        right(f"{what} {mode} {value}", got, expected, relative, 2 * np.finfo(dtype).smallest_subnormal)
                    else:
                        same(f"{what} {mode} {value}", got, expected)


def products_with_sums(dtype):
    x = specials(dtype)[::2]
    grid = [v.ravel().copy() for v in np.meshgrid(x, x, x)]
    a, b, c = grid
    with np.errstate(all="ignore"):
        for op, wanted in (("MULTIPLY_ADD", a * b + c), ("NEGATIVE_MULTIPLY_ADD", c - a * b)):
            got, = run_program([(op, dtype, "i0 i1 i2", "o0")], grid, [dtype], a.size)
            same(f"special {op} {dtype.__name__}", got, wanted)


def run():
    for dtype in FLOATS:
        unary(dtype)
        binary(dtype)
        products_with_sums(dtype)

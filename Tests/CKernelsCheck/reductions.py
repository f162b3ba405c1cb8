"""Reductions, norms, softmax, layer norm, RMS norm, batch norm."""

import ctypes

import numpy as np

from common import ARITHMETIC, C, FLOATS, call, code, f64, i64, log, ptr, random, sample

SHAPES = [(1, 1, 1), (3, 7, 1), (5, 1000, 1), (2, 5000, 1), (1, 300_001, 1), (70000, 10, 1), (1, 4, 5), (2, 3, 1000),
          (1, 5000, 10), (1, 2000, 16), (1, 3000, 70), (1, 1000, 700), (4, 129, 33), (1000, 7, 3), (3, 600, 1025),
          (2, 0, 3), (0, 4, 2), (17, 40000, 1)]
REDUCTIONS = {
    "CK_REDUCE_SUM": np.sum, "CK_REDUCE_PRODUCT": np.prod, "CK_REDUCE_MAX": np.max, "CK_REDUCE_MIN": np.min,
    "CK_REDUCE_ARGMAX": np.argmax, "CK_REDUCE_ARGMIN": np.argmin, "CK_REDUCE_ANY": np.any, "CK_REDUCE_ALL": np.all,
}


def reduce(op, x, outer, length, inner, status=0):
    logical, index = op in ("CK_REDUCE_ANY", "CK_REDUCE_ALL"), "ARG" in op
    out = np.empty((outer, inner), np.bool_ if logical else np.int64 if index else x.dtype)
    call("ck_reduce", C[op], code(x.dtype), i64(outer), i64(length), i64(inner), ptr(x), ptr(out), status=status)
    return out


def reductions():
    for dtype in ARITHMETIC:
        for outer, length, inner in SHAPES:
            x = sample(dtype, (outer, length, inner))
            y = x.copy()
            if dtype in FLOATS and x.size > 20:
                y.ravel()[random.integers(0, x.size, 3)] = np.nan
            for op, reference in REDUCTIONS.items():
                what = f"{op} {np.dtype(dtype)} {outer, length, inner}"
                if dtype == np.bool_ and op in ("CK_REDUCE_SUM", "CK_REDUCE_PRODUCT"):
                    reduce(op, x, outer, length, inner, status=C["CK_UNSUPPORTED"])
                    continue
                if length == 0 and op in list(REDUCTIONS)[2:6]:
                    reduce(op, x, outer, length, inner, status=C["CK_BAD_SHAPE"])
                    continue
                if op in ("CK_REDUCE_SUM", "CK_REDUCE_PRODUCT"):
                    v = x
                    if op == "CK_REDUCE_PRODUCT" and dtype in FLOATS:
                        v = np.exp(random.normal(size=x.shape) / np.sqrt(max(length, 1))).astype(dtype)
                    got = reduce(op, v, outer, length, inner)
                    if dtype in FLOATS:
                        scale = np.abs(v.astype(np.float64)).sum(1).max(initial=1) if "SUM" in op else 1
                        rough = 1e-6 if dtype == np.float32 else 1e-12
                        if "PRODUCT" in op:
                            rough *= 200
                        log.close(what, got, reference(v.astype(np.float64), axis=1), rough, rough * scale / 10)
                    else:
                        log.equal(what, got, reference(v, axis=1, dtype=v.dtype))
                else:
                    for v in (x, y):
                        log.equal(what, reduce(op, v, outer, length, inner), reference(v, axis=1))
    # Any and all must also see what is rare.
    x = np.zeros((3, 5000, 1), np.float32)
    x[1, 4321] = np.nan
    log.equal("any", reduce("CK_REDUCE_ANY", x, 3, 5000, 1), np.any(x, axis=1))
    log.equal("all", reduce("CK_REDUCE_ALL", 1 - x, 3, 5000, 1), np.all(1 - x, axis=1))
    big = random.random(16_000_000).astype(np.float32)
    log.close("sum of 16 M", reduce("CK_REDUCE_SUM", big, 1, big.size, 1), np.full((1, 1), big.sum(dtype=np.float64)), 1e-7)
    columns = big.reshape(1_000_000, 16)
    log.close("column sums of 1 M rows", reduce("CK_REDUCE_SUM", columns, 1, 1_000_000, 16)[0],
              columns.sum(0, dtype=np.float64), 2e-7)
    # First of equals, with a NaN later and earlier.
    x = np.array([[[1], [5], [5], [2]], [[1], [np.nan], [np.nan], [9]], [[-np.inf], [-np.inf], [-np.inf], [-np.inf]]], np.float32)
    log.equal("first maximum", reduce("CK_REDUCE_ARGMAX", x, 3, 4, 1)[:, 0], np.array([1, 1, 0]))
    turned = np.ascontiguousarray(x.transpose(2, 1, 0))
    log.equal("first maximum of columns", reduce("CK_REDUCE_ARGMAX", turned, 1, 4, 3)[0], np.array([1, 1, 0]))


def norms():
    for dtype in FLOATS:
        tolerance = 2e-7 if dtype == np.float32 else 1e-13
        for outer, length, inner in SHAPES:
            for scale in (1, 1e20, 1e-25) if dtype == np.float32 else (1, 1e200, 1e-250):
                x = (sample(np.float64, (outer, length, inner)) * scale).astype(dtype)
                out = np.empty((outer, inner), dtype)
                call("ck_norm", code(dtype), i64(outer), i64(length), i64(inner), ptr(x), ptr(out))
                wanted = np.sqrt(np.sum((x.astype(np.float64) / scale) ** 2, axis=1)) * scale
                log.close(f"norm {dtype.__name__} {outer, length, inner} of {scale}", out, wanted, tolerance)
        for special, wanted in (([np.inf, 1], np.inf), ([np.nan, 1], np.nan), ([np.inf, np.nan], np.nan), ([0, 0], 0),
                                ([5e-324, 0], dtype(5e-324))):
            x, out = np.array(special, dtype), np.empty(1, dtype)
            call("ck_norm", code(dtype), i64(1), i64(2), i64(1), ptr(x), ptr(out))
            log.equal(f"norm of {special}", out, np.array([wanted], dtype))


def confident_softmax():
    """log softmax where one element is far above the others: log1p of the others' sum."""
    for dtype in FLOATS:
        for n, inner in ((2, 1), (40, 1), (1500, 1), (3, 7), (40, 700)):
            for gap in (5.0, 16.0, 30.0, 60.0):
                x = np.full((n, inner), -gap, dtype)
                x[n // 2] = 0
                y = np.empty_like(x)
                call("ck_softmax", code(dtype), ctypes.c_bool(True), i64(1), i64(n), i64(inner), ptr(x), ptr(y))
                wanted = -np.log1p((n - 1) * np.exp(-gap))
                log.close(f"log softmax {dtype.__name__} {n, inner} {gap}", y[n // 2], np.full(inner, wanted), 6e-7, 0)


def extreme_batch_norm():
    """Channels whose squares the element type can't hold, against the same numbers near 1."""
    for dtype in FLOATS:
        for batch, channels, spatial, block in ((4, 3, 5, 1), (8, 5, 1, 1), (2, 8, 6, 8), (3, 5, 7, 4)):
            scales = np.resize([1e30, 1e18, 1.0] if dtype == np.float32 else [1e250, 1e160, 1.0], channels)
            near = random.normal(size=(batch, channels, spatial))
            g = random.normal(size=near.shape).astype(dtype)
            x = (near * scales[None, :, None]).astype(dtype)
            put, take = (lambda v: blocked(v, block), lambda v: plain(v, channels)) if block > 1 else (np.copy, np.copy)
            layout = (ctypes.c_int64 * 4)(batch, channels, spatial, block)
            bx, bg = put(x), put(g)
            y, dx = np.zeros_like(bx), np.zeros_like(bx)
            mean, variance, dscale, dshift = (np.zeros(channels, dtype) for _ in range(4))
            call("ck_batch_norm_training", code(dtype), layout, f64(1e-5), ptr(bx), None, None, ptr(y), ptr(mean), ptr(variance))
            call("ck_batch_norm_backward", code(dtype), layout, f64(1e-5), ctypes.c_bool(True), ptr(bx), ptr(bg), ptr(mean), ptr(variance), None, ptr(dx), ptr(dscale), ptr(dshift))
            exact = x.astype(np.longdouble)
            centred = exact - exact.mean((0, 2), keepdims=True)
            rstd = 1 / np.sqrt((centred**2).mean((0, 2), keepdims=True) + np.longdouble(1e-5))
            normal, gx = centred * rstd, g.astype(np.longdouble)
            wanted = rstd * (gx - gx.mean((0, 2), keepdims=True) - normal * (gx * normal).mean((0, 2), keepdims=True))
            t = 1e-5 if dtype == np.float32 else 1e-12
            what = f"batch norm {dtype.__name__} {batch, channels, spatial, block} of extremes"
            log.close(what, take(y), normal, t, t)
            log.close(what + " dx", take(dx) * scales[None, :, None], wanted * scales[None, :, None], t, 10 * t)
            log.close(what + " dscale", dscale, (gx * normal).sum((0, 2)), t, 10 * t)


def softmax():
    for dtype in FLOATS:
        rough = 6e-6 if dtype == np.float32 else 1e-13  # x - top is rounded at 40
        for outer, n, inner in ((1, 1, 1), (7, 10, 1), (3, 5003, 1), (1000, 33, 1), (2, 5, 7), (3, 11, 700), (1, 100, 513)):
            x = (sample(dtype, (outer, n, inner)) * 5).astype(dtype)
            g = sample(dtype, x.shape)
            wide = x.astype(np.float64)
            e = np.exp(wide - wide.max(1, keepdims=True))
            soft = e / e.sum(1, keepdims=True)
            for logarithm in (False, True):
                for in_place in (False, True):
                    y = x.copy() if in_place else np.empty_like(x)
                    source = y if in_place else x
                    call("ck_softmax", code(dtype), ctypes.c_bool(logarithm), i64(outer), i64(n), i64(inner), ptr(source), ptr(y))
                    what = f"softmax {dtype.__name__} {logarithm} {outer, n, inner}"
                    log.close(what, y, np.log(soft) if logarithm else soft, rough, rough * 5 if logarithm else 1e-38)
                dx = np.empty_like(x)
                call("ck_softmax_backward", code(dtype), ctypes.c_bool(logarithm), i64(outer), i64(n), i64(inner), ptr(y), ptr(g), ptr(dx))
                wg = g.astype(np.float64)
                if logarithm:
                    wanted = wg - soft * wg.sum(1, keepdims=True)
                else:
                    wanted = soft * (wg - (wg * soft).sum(1, keepdims=True))
                log.close(what + " backward", dx, wanted, rough, rough * 10)


def row_norms():
    for dtype in FLOATS:
        rough = 3e-6 if dtype == np.float32 else 1e-12
        for rows, n in ((1, 1), (3, 7), (50, 768), (4000, 30), (2, 40_000), (300, 512)):
            x = (sample(dtype, (rows, n)) + 3).astype(dtype)
            g, scale, shift = sample(dtype, (rows, n)), sample(dtype, n), sample(dtype, n)
            wx, wg, wscale, wshift = (v.astype(np.float64) for v in (x, g, scale, shift))
            epsilon = 1e-5
            for has_scale, has_shift in ((1, 1), (1, 0), (0, 1), (0, 0)):
                mean, rstd, y, dx = np.empty(rows, dtype), np.empty(rows, dtype), np.empty_like(x), np.empty_like(x)
                s, t = (scale if has_scale else None), (shift if has_shift else None)
                call("ck_layer_norm", code(dtype), i64(rows), i64(n), f64(epsilon), ptr(x), ptr(s), ptr(t), ptr(y), ptr(mean), ptr(rstd))
                m, r = wx.mean(1, keepdims=True), 1 / np.sqrt(wx.var(1, keepdims=True) + epsilon)
                h = (wx - m) * r
                what = f"layer norm {dtype.__name__} {rows, n, has_scale, has_shift}"
                tolerance = rough * (300 if n == 1 else 10)  # one element: all is epsilon
                log.close(what, y, h * (wscale if has_scale else 1) + (wshift if has_shift else 0), rough, tolerance)
                log.close(what + " mean", mean, m[:, 0], rough)
                log.close(what + " rstd", rstd, r[:, 0], rough)
                dscale, dshift = np.empty(n, dtype), np.empty(n, dtype)
                call("ck_layer_norm_backward", code(dtype), i64(rows), i64(n), ptr(x), ptr(g), ptr(mean), ptr(rstd), ptr(s), ptr(dx), ptr(dscale), ptr(dshift))
                k = wg * (wscale if has_scale else 1)
                wanted = r * (k - k.mean(1, keepdims=True) - h * (k * h).mean(1, keepdims=True))
                log.close(what + " dx", dx, wanted, rough, 20 * rough * np.abs(r).max())
                log.close(what + " dscale", dscale, (wg * h).sum(0), rough, rough * 20 * rows**0.5)
                log.close(what + " dshift", dshift, wg.sum(0), rough, rough * 10 * rows**0.5)
            call("ck_rms_norm", code(dtype), i64(rows), i64(n), f64(epsilon), ptr(x), ptr(scale), ptr(y), ptr(rstd))
            r = 1 / np.sqrt((wx**2).mean(1, keepdims=True) + epsilon)
            log.close(f"rms norm {rows, n}", y, wx * r * wscale, rough, rough)
            call("ck_rms_norm_backward", code(dtype), i64(rows), i64(n), ptr(x), ptr(g), ptr(rstd), ptr(scale), ptr(dx), ptr(dscale))
            k, h = wg * wscale, wx * r
            log.close(f"rms norm dx {rows, n}", dx, r * (k - h * (k * h).mean(1, keepdims=True)), rough, 20 * rough * np.abs(r).max())
            log.close(f"rms norm dscale {rows, n}", dscale, (wg * h).sum(0), rough, rough * 20 * rows**0.5)


def blocked(x, block):
    """[N, C, S] to [N, ceil(C / block), S, block], padded with 0."""
    n, c, s = x.shape
    groups = -(-c // block)
    padded = np.zeros((n, groups * block, s), x.dtype)
    padded[:, :c] = x
    return np.ascontiguousarray(padded.reshape(n, groups, block, s).transpose(0, 1, 3, 2))


def plain(x, channels):
    n, groups, s, block = x.shape
    return np.ascontiguousarray(x.transpose(0, 1, 3, 2).reshape(n, groups * block, s)[:, :channels])


def batch_norm():
    for dtype in FLOATS:
        rough = 4e-6 if dtype == np.float32 else 1e-12
        for n, c, s in ((1, 1, 5), (4, 3, 1), (37, 600, 1), (5, 3, 49), (8, 16, 196), (2, 20, 10_000), (64, 10, 16), (3, 40, 3)):
            x = (sample(dtype, (n, c, s)) + 100 * np.arange(c).reshape(1, c, 1)).astype(dtype)
            g, scale, shift = sample(dtype, (n, c, s)), sample(dtype, c), sample(dtype, c)
            wx, wg, ws, wt = (v.astype(np.float64) for v in (x, g, scale.reshape(1, c, 1), shift.reshape(1, c, 1)))
            epsilon, axes = 1e-3, (0, 2)
            m, v = wx.mean(axes, keepdims=True), wx.var(axes, keepdims=True)
            r = 1 / np.sqrt(v + epsilon)
            for block in (1, 8, 16, 24, 100):
                put, take = (lambda a: blocked(a, block), lambda a: plain(a, c)) if block > 1 else (np.copy, np.copy)
                bx, bg = put(x), put(g)
                by, bdx = np.full_like(bx, 7), np.full_like(bx, 7)
                mean, variance, dscale, dshift = (np.empty(c, dtype) for _ in range(4))
                layout = (ctypes.c_int64 * 4)(n, c, s, block)
                what = f"batch norm {dtype.__name__} {n, c, s} by {block}"
                call("ck_batch_norm_training", code(dtype), layout, f64(epsilon), ptr(bx), ptr(scale), ptr(shift), ptr(by), ptr(mean), ptr(variance))
                near = rough * 100 * c * np.abs(r).max() * 4 if dtype == np.float32 else 1e-9  # x itself is rounded at 100 c
                log.close(what, take(by), (wx - m) * r * ws + wt, rough, max(near, rough))
                log.close(what + " mean", mean, m.ravel(), rough, rough)
                log.close(what + " variance", variance, v.ravel(), rough * 10, rough)
                if block > 1:
                    log.check(what + " padding", not by.transpose(0, 1, 3, 2).reshape(n, -1, s)[:, c:].any())
                call("ck_batch_norm_inference", code(dtype), layout, f64(epsilon), ptr(bx), ptr(mean), ptr(variance), None, ptr(shift), ptr(by))
                log.close(what + " inference", take(by), (wx - m) * r + wt, rough, max(near, rough))
                for training in (True, False):
                    call("ck_batch_norm_backward", code(dtype), layout, f64(epsilon), ctypes.c_bool(training), ptr(bx), ptr(bg), ptr(mean), ptr(variance), ptr(scale), ptr(bdx), ptr(dscale), ptr(dshift))
                    h, sums = (wx - m) * r, wg.sum(axes, keepdims=True)
                    moments = (wg * h).sum(axes, keepdims=True)
                    wanted = ws * r * (wg - (sums + h * moments) / (n * s)) if training else ws * r * wg
                    log.close(what + f" dx {training}", take(bdx), wanted, rough, max(near, rough) * max(1, np.abs(r).max()))
                    log.close(what + " dscale", dscale, moments.ravel(), rough, max(near, rough) * (n * s) ** 0.5 * 4)
                    log.close(what + " dshift", dshift, sums.ravel(), rough, rough * 10 * (n * s) ** 0.5)


def run():
    reductions()
    softmax()
    row_norms()
    batch_norm()
    extreme_batch_norm()
    norms()
    confident_softmax()

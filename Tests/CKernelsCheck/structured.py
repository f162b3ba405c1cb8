"""Strided copies, indexing, pooling, random numbers."""

import ctypes

import numpy as np

from common import ARITHMETIC, C, FLOATS, call, code, i64, i64s, lib, log, ptr, random, sample


def copy_view(view):
    out = np.empty(view.shape, view.dtype)
    size = view.itemsize
    call("ck_copy_strided", i64(size), i64(view.ndim), i64s(view.shape), ptr(view), i64s([s // size for s in view.strides]), ptr(out))
    return out


def scatter_view(view, dense):
    size = view.itemsize
    call("ck_scatter_strided", i64(size), i64(view.ndim), i64s(view.shape), ptr(dense), ptr(view), i64s([s // size for s in view.strides]))


def strided():
    for dtype in (np.uint8, np.int16, np.float32, np.float64, np.complex128):
        for _ in range(150):
            rank = random.integers(0, 6)
            shape = random.integers(1, 9, rank)
            if rank and random.random() < 0.3:
                shape[random.integers(rank)] = random.integers(30, 150)
            base = random.integers(0, 250, shape).astype(dtype)
            view = base.transpose(random.permutation(rank))
            view = view[tuple(slice(None, None, random.choice([1, 1, 1, 2, -1, -2])) for _ in range(rank))] if rank else view
            log.equal(f"copy {np.dtype(dtype)} {view.shape} {view.strides}", copy_view(view), np.ascontiguousarray(view).reshape(view.shape))
            dense = random.integers(0, 250, view.shape).astype(dtype)
            wanted = base.copy()
            target = base.copy()
            offset = view.__array_interface__["data"][0] - base.__array_interface__["data"][0]
            window = np.ndarray(view.shape, dtype, target, offset, view.strides)
            np.ndarray(view.shape, dtype, wanted, offset, view.strides)[...] = dense
            scatter_view(window, dense)
            log.equal(f"scatter {np.dtype(dtype)} {view.shape} {view.strides}", target, wanted)
            broadcast = np.broadcast_to(view, (3, *view.shape))
            log.equal("broadcast", copy_view(broadcast), np.ascontiguousarray(broadcast))
            log.equal("broadcast inside", copy_view(np.broadcast_to(view[..., None], (*view.shape, 5))), np.repeat(view[..., None], 5, -1))
    big = random.random((2, 700, 1003)).astype(np.float32)
    for axes in ((0, 2, 1), (2, 1, 0), (1, 0, 2), (2, 0, 1), (1, 2, 0)):
        log.equal(f"transpose {axes}", copy_view(big.transpose(axes)), np.ascontiguousarray(big.transpose(axes)))
    long = random.random(300_000).astype(np.float32)
    log.equal("long flip", copy_view(long[::-1]), long[::-1].copy())
    log.equal("long scalar", copy_view(np.broadcast_to(long[:1], (1_000_000,))), np.full(1_000_000, long[0]))
    call("ck_copy_strided", i64(4), i64(33), i64s([1] * 33), ptr(long), i64s([1] * 33), ptr(long), status=C["CK_BAD_SHAPE"])
    empty = np.empty((0, 3), np.float32)
    log.equal("empty", copy_view(empty), empty)


class IndexError_(ctypes.Structure):
    _fields_ = [("position", ctypes.c_int64), ("value", ctypes.c_int64)]


def indexing():
    shapes = [(1, 5, 1, 7), (3, 4, 1, 6), (1, 100, 33, 250), (4, 9, 70, 3), (2, 3, 2000, 5), (1, 50, 1, 100_000), (2, 3, 4, 0)]
    for index_dtype in (np.int32, np.int64):
        for dtype in ARITHMETIC + [np.int16, np.complex128]:
            for outer, length, inner, count in shapes:
                what = f"{np.dtype(dtype)} {np.dtype(index_dtype)} {outer, length, inner, count}"
                src = sample(dtype, (outer, length, inner)) if dtype in ARITHMETIC else random.integers(0, 99, (outer, length, inner)).astype(dtype)
                sizes = [i64(v) for v in (outer, length, inner, count)]
                index = random.integers(0, length, count).astype(index_dtype)
                along = random.integers(0, length, (outer, count, inner)).astype(index_dtype)
                error = IndexError_()
                out = np.empty((outer, count, inner), dtype)
                call("ck_gather", i64(out.itemsize), code(index_dtype), *sizes, ptr(src), ptr(index), ptr(out), None)
                log.equal("gather " + what, out, src[:, index, :])
                call("ck_take_along", i64(out.itemsize), code(index_dtype), *sizes, ptr(src), ptr(along), ptr(out), None)
                log.equal("take along " + what, out, np.take_along_axis(src, along.astype(np.int64), 1))
                if count:
                    bad = index.copy()
                    bad[count // 2] = length
                    call("ck_gather", i64(out.itemsize), code(index_dtype), *sizes, ptr(src), ptr(bad), ptr(out), ctypes.byref(error), status=C["CK_BAD_INDEX"])
                    log.check("bad index", (error.position, error.value) == (count // 2, length))
                    bad[0] = -1
                    call("ck_gather", i64(out.itemsize), code(index_dtype), *sizes, ptr(src), ptr(bad), ptr(out), None, status=C["CK_BAD_INDEX"])
                if dtype not in ARITHMETIC[1:]:
                    continue
                updates = sample(dtype, (outer, count, inner))
                for along_form in (False, True):
                    target = sample(dtype, (outer, length, inner))
                    wanted = target.astype(np.float64) if dtype in FLOATS else target.copy()
                    again = target.copy()
                    if along_form:
                        o, _, i = np.indices(along.shape)
                        np.add.at(wanted, (o, along, i), updates)
                        name, used = "ck_scatter_add_along", along
                    else:
                        np.add.at(wanted, (slice(None), index), updates)
                        name, used = "ck_scatter_add", index
                    call(name, code(dtype), code(index_dtype), *sizes, ptr(updates), ptr(used), ptr(target), None)
                    if dtype in FLOATS:
                        log.close(name + what, target, wanted, 1e-5 if dtype == np.float32 else 1e-12, 2e-3 if dtype == np.float32 else 1e-10)
                    else:
                        log.equal(name + what, target, wanted)
                    lib.ck_team_enter()
                    call(name, code(dtype), code(index_dtype), *sizes, ptr(updates), ptr(used), ptr(again), None)
                    lib.ck_team_exit()
                    log.equal(name + " same with a team " + what, again, target)


class Pool(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in (
        "planes block height width out_height out_width kernel_height kernel_width stride_height stride_width padding_top "
        "padding_left padding_bottom padding_right dilation_height dilation_width").split()] + [("count_include_pad", ctypes.c_bool)]


def pool_reference(p, x, g, v):
    """Window by window, in the order of the definition. x: [planes, H, W, block]."""
    y = np.full((p.planes, p.out_height, p.out_width, p.block), -np.inf, x.dtype)
    average = np.zeros_like(y)
    dx, dx_average, gathered = np.zeros_like(x), np.zeros(x.shape), np.zeros_like(y)
    plane, lane = np.indices((p.planes, p.block))
    for oh in range(p.out_height):
        for ow in range(p.out_width):
            top, left = oh * p.stride_height - p.padding_top, ow * p.stride_width - p.padding_left
            rows = [r for r in range(top, top + p.kernel_height * p.dilation_height, p.dilation_height) if 0 <= r < p.height]
            columns = [c for c in range(left, left + p.kernel_width * p.dilation_width, p.dilation_width) if 0 <= c < p.width]
            if not rows or not columns:
                continue
            where = [(r, c) for r in rows for c in columns]
            values = np.stack([x[:, r, c, :] for r, c in where])
            y[:, oh, ow] = values.max(0)
            first = values.argmax(0)
            r, c = np.array([w[0] for w in where])[first], np.array([w[1] for w in where])[first]
            np.add.at(dx, (plane, r, c, lane), g[:, oh, ow])
            gathered[:, oh, ow] = v[plane, r, c, lane]
            count = len(where)
            if p.count_include_pad:
                count = (min(top + p.kernel_height, p.height + p.padding_bottom) - top) * (
                    min(left + p.kernel_width, p.width + p.padding_right) - left)
            average[:, oh, ow] = values.astype(np.float64).sum(0) / count
            for r, c in where:
                dx_average[:, r, c] += g[:, oh, ow] / count
    return y, dx, gathered, average, dx_average


def pooling():
    cases = [  # H, W, kernel, stride, padding, dilation
        ((8, 8), (2, 2), (2, 2), (0, 0, 0, 0), (1, 1)), ((7, 9), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1)),
        ((6, 5), (3, 2), (1, 1), (0, 1, 2, 0), (1, 1)), ((9, 9), (3, 3), (2, 1), (2, 2, 2, 2), (2, 2)),
        ((5, 5), (5, 5), (1, 1), (0, 0, 0, 0), (1, 1)), ((4, 4), (2, 2), (3, 3), (1, 0, 1, 3), (1, 1)),
        ((28, 28), (2, 2), (2, 2), (0, 0, 0, 0), (1, 1)),
    ]
    for dtype in FLOATS:
        rough = 1e-6 if dtype == np.float32 else 1e-13
        for (h, w), (kh, kw), (sh, sw), (pt, pl, pb, pr), (dh, dw) in cases:
            for planes, block in ((1, 1), (6, 1), (3, 8), (2, 16), (2, 20)):
                for ceiling in (0, 1):
                    oh = (h + pt + pb - (kh - 1) * dh - 1 + ceiling * (sh - 1)) // sh + 1
                    ow = (w + pl + pr - (kw - 1) * dw - 1 + ceiling * (sw - 1)) // sw + 1
                    for include in (False, True):
                        p = Pool(planes, block, h, w, oh, ow, kh, kw, sh, sw, pt, pl, pb, pr, dh, dw, include)
                        x = random.integers(-3, 4, (planes, h, w, block)).astype(dtype)  # many ties
                        if include:
                            x.ravel()[random.integers(0, x.size, 2)] = np.nan
                        g, v = sample(dtype, (planes, oh, ow, block)), sample(dtype, x.shape)
                        y, dx, gathered, average, dx_average = pool_reference(p, x, g, v)
                        what = f"pool {dtype.__name__} {(h, w)} {(kh, kw)} {(sh, sw)} {(pt, pl, pb, pr)} {(dh, dw)} {planes, block}"
                        out, out_x = np.empty_like(y), np.full_like(x, 9)
                        q = ctypes.byref(p)
                        call("ck_max_pool", code(dtype), q, ptr(x), ptr(out))
                        log.equal("max " + what, out, y)
                        call("ck_max_pool_backward", code(dtype), q, ptr(x), ptr(g), ptr(out_x))
                        log.close("max backward " + what, out_x, dx, rough, rough * 10)
                        call("ck_max_pool_gather", code(dtype), q, ptr(x), ptr(v), ptr(out))
                        log.equal("max gather " + what, out, gathered)
                        if dh > 1:
                            call("ck_average_pool", code(dtype), q, ptr(x), ptr(out), status=C["CK_BAD_SHAPE"])
                            continue
                        call("ck_average_pool", code(dtype), q, ptr(x), ptr(out))
                        log.close("average " + what, out, average, rough, rough)
                        call("ck_average_pool_backward", code(dtype), q, ptr(g), ptr(out_x))
                        log.close("average backward " + what, out_x, dx_average, rough, rough * 10)


def philox(key, offset, blocks):
    """Philox4x32-10 as the paper defines it."""
    at = np.uint64(offset) + np.arange(blocks, dtype=np.uint64)
    low = np.uint64(0xFFFFFFFF)
    c = [at & low, at >> np.uint64(32), np.zeros(blocks, np.uint64), np.zeros(blocks, np.uint64)]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p, q = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(q >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), q & low, (p >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), p & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, 1).astype(np.uint32)


def randoms():
    # Known answers published with the authors' Random123 library: counter and key all zeros.
    zeros = np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8], np.uint32)
    log.equal("philox reference", philox(0, 0, 1)[0], zeros)
    for key, offset in ((0, 0), (0x123456789ABCDEF0, 0xFFFFFFF8), (7, 2**63)):
        for n in (1, 4, 6, 64, 1001, 300_003):
            bits = philox(key, offset, n // 2 + 64)
            k, o = ctypes.c_uint64(key), ctypes.c_uint64(offset)
            out = np.empty(n, np.uint32)
            lib.ck_random_bits(k, o, i64(n), ptr(out))
            log.equal(f"bits {key} {offset} {n}", out, bits.ravel()[:n])
            u = (bits >> 8).astype(np.float64) * 2.0**-24
            x = np.empty(n, np.float32)
            call("ck_random_uniform", C["CK_FLOAT32"], k, o, i64(n), ptr(x))
            log.equal(f"uniform {n}", x, u.ravel()[:n].astype(np.float32))
            call("ck_random_normal", C["CK_FLOAT32"], k, o, i64(n), ptr(x))
            radius, angle = np.sqrt(-2 * np.log(u[:, 0::2] + 2.0**-24)), 2 * np.pi * u[:, 1::2]
            wanted = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 2).reshape(-1)[:n]
            log.close(f"normal {n}", x, wanted, 3e-7, 3e-7)
            words = bits.astype(np.uint64)
            d = np.stack([words[:, 0] << np.uint64(32) | words[:, 1], words[:, 2] << np.uint64(32) | words[:, 3]], 1)
            d = (d >> np.uint64(11)).astype(np.float64) * 2.0**-53
            z = np.empty(n, np.float64)
            call("ck_random_uniform", C["CK_FLOAT64"], k, o, i64(n), ptr(z))
            log.equal(f"uniform double {n}", z, d.ravel()[:n])
            call("ck_random_normal", C["CK_FLOAT64"], k, o, i64(n), ptr(z))
            radius, angle = np.sqrt(-2 * np.log(d[:, 0] + 2.0**-53)), 2 * np.pi * d[:, 1]
            log.close(f"normal double {n}", z, np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()[:n], 1e-14, 1e-14)


def run():
    strided()
    indexing()
    pooling()
    randoms()

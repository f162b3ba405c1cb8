"""Fused programs; threads; equal results with and without a team."""

import ctypes
import threading

import numpy as np
from scipy import special

from common import C, call, code, f64, i64, lib, log, ptr, random, sample


class Operand(ctypes.Structure):
    _fields_ = [("place", ctypes.c_int), ("index", ctypes.c_int32)]


class Instruction(ctypes.Structure):
    _fields_ = [("op", ctypes.c_int), ("dtype", ctypes.c_int), ("from_dtype", ctypes.c_int),
                ("sources", Operand * 3), ("destination", Operand)]


class Program(ctypes.Structure):
    _fields_ = [("instructions", ctypes.POINTER(Instruction)), ("instruction_count", ctypes.c_int32),
                ("register_count", ctypes.c_int32), ("input_count", ctypes.c_int32), ("output_count", ctypes.c_int32),
                ("immediate_count", ctypes.c_int32), ("input_dtypes", ctypes.POINTER(ctypes.c_int)),
                ("input_is_scalar", ctypes.POINTER(ctypes.c_uint8)), ("output_dtypes", ctypes.POINTER(ctypes.c_int)),
                ("immediates", ctypes.POINTER(ctypes.c_uint64))]


def operand(text):
    kind = {"r": "CK_PLACE_REGISTER", "i": "CK_PLACE_INPUT", "k": "CK_PLACE_IMMEDIATE", "o": "CK_PLACE_OUTPUT"}[text[0]]
    return Operand(C[kind], int(text[1:]))


def run_program(lines, inputs, output_dtypes, n, registers=4, immediates=(), outputs=None, status=0):
    """Lines are (op, dtype, sources, destination[, from dtype]); scalars among the inputs are arrays of shape ()."""
    instructions = (Instruction * len(lines))()
    for to, (op, dtype, sources, destination, *source_dtype) in zip(instructions, lines):
        to.op, to.dtype = C["CK_" + op], code(dtype)
        to.from_dtype = code(source_dtype[0]) if source_dtype else 0
        for s, text in enumerate(sources.split()):
            to.sources[s] = operand(text)
        to.destination = operand(destination)
    bits = [int.from_bytes(np.asarray(v).tobytes(), "little") for v in immediates]
    program = Program(instructions, len(lines), registers, len(inputs), len(output_dtypes), len(bits),
                      (ctypes.c_int * 8)(*[code(x.dtype) for x in inputs]),
                      (ctypes.c_uint8 * 8)(*[x.ndim == 0 for x in inputs]),
                      (ctypes.c_int * 8)(*[code(d) for d in output_dtypes]), (ctypes.c_uint64 * 8)(*bits))
    outputs = outputs or [np.empty(n, d) for d in output_dtypes]
    call("ck_fused_check", ctypes.byref(program), status=status)
    call("ck_fused_run", ctypes.byref(program), (ctypes.c_void_p * 8)(*[x.ctypes.data for x in inputs]),
         (ctypes.c_void_p * 8)(*[x.ctypes.data for x in outputs]), i64(n), status=status)
    return outputs


f4 = np.float32
GELU_CHAIN = [("MULTIPLY_ADD", f4, "i0 k0 k1", "r0"), ("GELU_TANH", f4, "r0", "r0"), ("SIGMOID", f4, "i0", "r1"),
              ("MULTIPLY", f4, "r0 r1", "r0"), ("NEGATIVE_MULTIPLY_ADD", f4, "i0 i0 r0", "o0")]


def programs():
    for n in (1, 5, 1024, 1025, 200_001):
        x, y = sample(f4, n), sample(f4, n)
        s = np.array(1.5, f4)
        got, = run_program(GELU_CHAIN, [x], [f4], n, immediates=[f4(2), f4(1)])
        w = x.astype(np.float64)
        u = 2 * w + 1
        gelu = u * special.expit(1.5957691216057308 * (u + 0.044715 * u**3))
        log.close(f"gelu chain {n}", got, gelu * special.expit(w) - w * w, 2e-6, 2e-6)
        # Compare, select, cast within one register number, scalars of every kind, two outputs.
        got, flags = run_program(
            [("GREATER", f4, "i0 i2", "r0"), ("COPY", np.bool_, "r0", "o1"), ("SELECT", f4, "r0 i0 k0", "r1"),
             ("CAST", np.float64, "r1", "r1", f4), ("ADD", np.float64, "r1 k1", "r1"), ("CAST", f4, "r1", "r1", np.float64),
             ("ADD", f4, "i2 i2", "r2"), ("MULTIPLY", f4, "r2 r1", "r1"), ("SELECT", f4, "k2 r1 i1", "o0")],
            [x, y, s], [f4, np.bool_], n, immediates=[f4(-1), np.float64(0.25), np.bool_(True)])
        log.equal(f"select chain {n}", got, ((np.where(x > s, x, f4(-1)).astype(np.float64) + 0.25).astype(f4) * f4(3)))
        log.equal(f"flags {n}", flags, x > s)
        # SGD with momentum in place: outputs are inputs, one of which is read after it was written.
        p, v, g = x.copy(), y.copy(), sample(f4, n)
        wanted_v = f4(0.9) * v + g
        wanted_p = p - f4(0.1) * wanted_v + f4(0) * v
        run_program([("MULTIPLY_ADD", f4, "i1 k0 i2", "o1"), ("MULTIPLY_ADD", f4, "i1 k0 i2", "r0"),
                     ("NEGATIVE_MULTIPLY_ADD", f4, "r0 k1 i0", "o0")],
                    [p, v, g], [f4, f4], n, immediates=[f4(0.9), f4(0.1)], outputs=[p, v])
        log.close(f"momentum {n}", v, wanted_v, 1e-6, 1e-6)
        log.close(f"parameter {n}", p, wanted_p, 1e-6, 1e-6)
        # Every mix of vectors and scalars of a three-operand instruction, and only scalars.
        for mix in ("i0 i1 i0", "i0 i1 k0", "i0 k0 i1", "i0 k0 k0", "k0 i0 i1", "k0 i0 k0", "k0 k0 i0", "k0 k0 k0"):
            values = {"i0": x, "i1": y, "k0": f4(0.75)}
            a, b, c = (values[m] for m in mix.split())
            got, = run_program([("MULTIPLY_ADD", f4, mix, "o0")], [x, y], [f4], n, immediates=[f4(0.75)])
            log.close(f"multiply-add {mix}", got, np.broadcast_to(a.astype(np.float64) * b + c, n), 2e-7, 1e-6)
        for condition in (True, False):
            for pair in ("i0 i1", "i0 k1", "k1 i0", "k1 k1"):
                values = {"i0": x, "i1": y, "k1": np.full(n, 2, f4)}
                got, = run_program([("SELECT", f4, "k0 " + pair, "o0")], [x, y], [f4], n, immediates=[np.bool_(condition), f4(2)])
                log.equal("lone condition", got, values[pair.split()[0 if condition else 1]])
    # Many registers, 64-bit.
    x = sample(np.float64, 5000)
    lines = [("COPY", np.float64, "i0", "r0")] + [("ADD", np.float64, f"r{i} i0", f"r{i + 1}") for i in range(29)]
    got, = run_program(lines + [("COPY", np.float64, "r29", "o0")], [x], [np.float64], 5000, registers=30)
    log.close("thirty registers", got, x * 30, 1e-14)
    # Malformed programs are refused.
    x = np.zeros(4, f4)
    bad, unknown = C["CK_BAD_SHAPE"], C["CK_UNSUPPORTED"]
    for wrong in (("ADD", f4, "i0 i1", "o0"), ("ADD", f4, "i0 r0", "o0"), ("ADD", f4, "i0 i0", "o1"), ("ADD", np.int32, "i0 i0", "o0"),
                  ("ADD", f4, "i0 k0", "o0"), ("EQUAL", f4, "i0 i0", "o0"), ("ADD", f4, "i0 i0", "r9")):
        run_program([wrong], [x], [f4], 4, status=bad)
    run_program([("AND", f4, "i0 i0", "o0")], [x], [f4], 4, status=unknown)


def threads():
    assert lib.ck_threads() >= 1
    job = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    lib.ck_in_team.restype = lib.ck_on_compute_thread.restype = ctypes.c_bool
    seen = []

    def inner(_):
        seen.append((threading.get_native_id(), lib.ck_in_team(), lib.ck_on_compute_thread()))

    def outer(_):
        lib.ck_compute_run(job(inner), None)

    workers = [threading.Thread(target=lambda: [lib.ck_compute_run(job(outer), None) for _ in range(50)]) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    log.check("200 jobs on one compute thread", len(seen) == 200 and len(set(seen)) == 1 and seen[0][1:] == (True, True), str(set(seen)))
    log.check("the caller is not in a team", not lib.ck_in_team() and not lib.ck_on_compute_thread())

    body = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    for count in (1, 2, 5):
        lib.ck_set_threads(count)
        for total, grain in ((0, 1), (1, 1), (7, 2), (100, 1), (100_003, 1000), (5, 100)):
            ranges, lock = [], threading.Lock()

            def note(_, begin, end):
                with lock:
                    ranges.append((begin, end))

            lib.ck_team_enter()
            lib.ck_parallel_for(i64(total), i64(grain), body(note), None)
            lib.ck_team_exit()
            covered = np.concatenate([np.arange(b, e) for b, e in sorted(ranges)] or [np.arange(0)])
            log.check(f"ranges {count} {total} {grain}", np.array_equal(covered, np.arange(total)) and len(ranges) <= count, str(ranges))

    # The same bits whatever the number of threads.
    x = random.normal(size=3_000_000).astype(f4)
    results = []
    for count in (1, 2, 3):
        lib.ck_set_threads(count)
        got = []

        def work(_):
            for outer, length, inner in ((1, x.size, 1), (3, 1_000_000, 1), (1, 100_000, 30), (1, 1000, 3000), (30, 100_000, 1)):
                out = np.empty(outer * inner, f4)
                call("ck_reduce", C["CK_REDUCE_SUM"], C["CK_FLOAT32"], i64(outer), i64(length), i64(inner), ptr(x), ptr(out))
                got.append(out)
            y, mean, variance = np.empty_like(x), np.empty(30, f4), np.empty(30, f4)
            call("ck_batch_norm_training", C["CK_FLOAT32"], (ctypes.c_int64 * 4)(10, 30, 10_000, 1), f64(1e-5), ptr(x), None, None, ptr(y), ptr(mean), ptr(variance))
            z = np.empty(x.size, f4)
            call("ck_random_normal", C["CK_FLOAT32"], ctypes.c_uint64(3), ctypes.c_uint64(9), i64(x.size), ptr(z))
            s, ds, dt = np.empty_like(x), np.empty(3000, f4), np.empty(3000, f4)
            rows_mean, rstd = np.empty(1000, f4), np.empty(1000, f4)
            call("ck_softmax", C["CK_FLOAT32"], ctypes.c_bool(False), i64(1000), i64(3000), i64(1), ptr(x), ptr(s))
            call("ck_layer_norm", C["CK_FLOAT32"], i64(1000), i64(3000), f64(1e-5), ptr(x), None, None, ptr(y), ptr(rows_mean), ptr(rstd))
            call("ck_layer_norm_backward", C["CK_FLOAT32"], i64(1000), i64(3000), ptr(x), ptr(z), ptr(rows_mean), ptr(rstd), None, ptr(s), ptr(ds), ptr(dt))
            e, = run_program(GELU_CHAIN, [x], [f4], x.size, immediates=[f4(2), f4(1)])
            got.extend([y, mean, variance, z, s, ds, dt, e])

        lib.ck_compute_run(job(work), None)
        results.append(got)
    for other in results[1:]:
        log.check("bits do not depend on threads", all(np.array_equal(a, b) for a, b in zip(results[0], other)))
    lib.ck_set_threads(2)


def run():
    programs()
    threads()

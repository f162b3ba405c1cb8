"""Do Apus, NumPy and PyTorch lend each other tensors in one process?

usage: judge_dlpack.py APUS. The library of Tests/JudgeLibrary is loaded into CPython. Arrays go both ways by DLPack, in
its versioned and its older form: at the same address, with the same values, shapes and strides; nobody's array is changed;
what was lent is let go once, also when it is refused; a hundred thousand rounds leak nothing."""

import ctypes
import gc
import sys
import weakref

try:
    import apus_library
    import numpy as np
    import torch
    from apus_library import Refused, Tensor
except ModuleNotFoundError as problem:
    print(f"SKIPPED: {problem}")
    sys.exit(77)

ROUNDS = 100_000
failures = 0


def check(what, holds):
    global failures
    if not holds:
        failures += 1
        print(f"FAILED: {what}")


def shape_of(x):
    return f"[{', '.join(str(size) for size in x.shape)}]"


def numpy_arrays():
    rng = np.random.default_rng(1)
    for dtype in "bool uint8 int8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64 complex64 complex128".split():
        x = (rng.random((4, 6, 10)) * 100).astype(dtype)
        if dtype == "bool":
            x = rng.random((4, 6, 10)) > 0.5
        for name, view in {
            "whole": x, "turned": x.transpose(2, 0, 1), "stepped": x[::2, 1:5, ::3], "column": x[:, :, 4:5],
            "repeated": np.broadcast_to(x[:1], (3, 6, 10)), "scalar": x[1, 2, 3, ...], "empty": x[:, :0],
        }.items():
            yield f"{dtype} {name}", view


def check_numpy():
    count = 0
    for what, x in numpy_arrays():
        # broadcast_to gives a read-only array, which only the versioned form can say.
        forms = [(1, 1)] if not x.flags.writeable else [(1, 1), None]
        for version in forms:
            count += 1
            mine = Tensor.consuming(x.__dlpack__(max_version=version) if version else x.__dlpack__())
            check(f"{what}: type {mine.type}", mine.type == f"{x.dtype}{shape_of(x)}")
            if x.size:
                check(f"{what}: address", mine.address == x.__array_interface__["data"][0])
                steps = tuple(step // x.itemsize for step in x.strides)
                known = [i for i in range(x.ndim) if x.shape[i] > 1]
                mine_steps = mine.strides(x.ndim)
                check(f"{what}: strides {mine_steps}", all(mine_steps[i] == steps[i] for i in known))
            back = np.from_dlpack(mine)
            check(f"{what}: comes back", back.dtype == x.dtype and np.array_equal(back, x))
            if x.size:
                check(f"{what}: same address back", back.__array_interface__["data"][0] == mine.address)
            check(f"{what}: lent as read-only", not (back.size and back.flags.writeable))
            if x.ndim:
                view = np.from_dlpack(mine.made("view"))
                check(f"{what}: a view of it", np.array_equal(view, x.transpose()[..., ::2]))
            copy = np.from_dlpack(mine, copy=True)
            check(f"{what}: a copy", np.array_equal(copy, x) and copy.flags.writeable)
            if x.size:
                check(f"{what}: a copy's address", copy.__array_interface__["data"][0] != mine.address)
            before = x.copy()
            if x.size and x.dtype in (np.float32, np.float64, np.int32, np.int64):
                check(f"{what}: computed with", np.allclose(np.from_dlpack(mine.made("doubled")), x + x, rtol=1e-6))
                changed = np.from_dlpack(mine.made("changed"))
                check(f"{what}: changed", changed.flat[0] == 1 and np.array_equal(changed.flat[1:], before.flat[1:]))
            check(f"{what}: left as it was", np.array_equal(x, before))
    print(f"NumPy {np.__version__}: {count} arrays both ways")


def torch_tensors():
    torch.manual_seed(1)
    for dtype in (
        torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
        torch.float32, torch.float64, torch.complex64, torch.complex128, torch.float8_e4m3fn, torch.float8_e5m2,
    ):
        x = (torch.rand(4, 6, 10) * 100).to(dtype)
        for name, view in {
            "whole": x, "turned": x.permute(2, 0, 1), "stepped": x[::2, 1:5, ::3],
            "repeated": x[:1].expand(3, 6, 10), "scalar": x[1, 2, 3], "empty": x[:, :0],
        }.items():
            yield f"{str(dtype).removeprefix('torch.')} {name}", view


def bits(x):
    x = x.contiguous()
    return torch.view_as_real(x) if x.is_complex() else x.view(torch.uint8) if x.dtype.itemsize == 1 else x


def check_torch():
    count = 0
    for what, x in torch_tensors():
        for versioned in (True, False):
            try:
                held = x.__dlpack__(max_version=(1, 1)) if versioned else torch.utils.dlpack.to_dlpack(x)
            except (BufferError, RuntimeError) as problem:
                print(f"PyTorch does not lend {what}: {problem}")
                continue
            count += 1
            mine = Tensor.consuming(held)
            check(f"{what}: type {mine.type}", mine.type == f"{str(x.dtype).removeprefix('torch.')}{shape_of(x)}")
            if x.numel():
                check(f"{what}: address", mine.address == x.data_ptr())
                steps = mine.strides(x.dim())
                check(
                    f"{what}: strides {steps}",
                    all(steps[i] == x.stride(i) for i in range(x.dim()) if x.shape[i] > 1))
            back = torch.from_dlpack(mine)
            check(f"{what}: comes back", back.dtype == x.dtype and torch.equal(bits(back), bits(x)))
            if x.numel():
                check(f"{what}: same address back", back.data_ptr() == mine.address)
    print(f"PyTorch {torch.__version__}: {count} tensors both ways")


def check_lifetime():
    # The array lives as long as Apus's tensor, or a view of it, and no longer.
    class Array(np.ndarray):
        pass

    x = np.arange(12, dtype=np.float32).reshape(3, 4).view(Array)
    gone = weakref.ref(x)
    mine = Tensor.of(x)
    del x
    gc.collect()
    check("an array that Apus holds is alive", gone() is not None)
    view = mine.made("view")
    del mine
    gc.collect()
    check("an array that a view holds is alive", gone() is not None)
    back = np.from_dlpack(view)
    del view
    gc.collect()
    check("an array that NumPy holds through Apus is alive", gone() is not None)
    check("with its values", np.array_equal(back, np.arange(12).reshape(3, 4).T[:, ::2]))
    del back
    gc.collect()
    check("let go with the last of them", gone() is None)

    # And Apus's own tensor as long as NumPy's view of it.
    theirs = np.from_dlpack(Tensor.of(np.ones((2, 2), np.float32)).made("doubled"))
    gc.collect()
    check("Apus's tensor that only NumPy holds", np.array_equal(theirs, np.full((2, 2), 2)))
    # A capsule that nobody consumes lets go too: see the rounds.


def check_refusals():
    def refuses(text, array):
        try:
            Tensor.of(array)
            check(f"refuses {text}", False)
        except Refused as problem:
            check(f"{problem} names {text}", text in str(problem))

    x = np.arange(12, dtype=np.float32)
    gone = sys.getrefcount(x)
    refuses("negative", x[::-1])
    refuses("share memory", np.lib.stride_tricks.sliding_window_view(x, 3))
    refuses("dimensions", np.zeros([1] * 9))
    gc.collect()
    check("a refused array is let go", sys.getrefcount(x) == gone)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def check_rounds():
    arrays = [np.arange(1024, dtype=np.float32), np.ones((8, 128), np.float64).T]
    tensors = [torch.ones(1024), torch.ones(8, 128).t()]

    def rounds(count):
        for i in range(count):
            x = arrays[i % 2]
            np.from_dlpack(Tensor.of(x))
            torch.from_dlpack(Tensor.of(tensors[i % 2]))
            Tensor.of(x).__dlpack__(max_version=(1, 1) if i % 4 < 2 else None)
            if i % 8 == 0:
                np.from_dlpack(Tensor.of(x).made("doubled"))
                try:
                    Tensor.of(arrays[0][::-1])
                except Refused:
                    pass

    references = [sys.getrefcount(x) for x in arrays + tensors]
    # What the allocators keep is there before anything is measured.
    rounds(5_000)
    gc.collect()
    before = resident()
    rounds(ROUNDS)
    gc.collect()
    growth = resident() - before
    print(f"{ROUNDS} rounds: resident memory grew by {growth / 1024:.0f} KiB")
    check("the rounds leak", growth < 4 << 20)
    check("arrays are let go after each", [sys.getrefcount(x) for x in arrays + tensors] == references)


def main():
    try:
        apus_library.load(sys.argv[1])
    except (OSError, FileNotFoundError) as problem:
        print(f"FAILED: {problem}")
        sys.exit(1)
    check_numpy()
    check_torch()
    check_lifetime()
    check_refusals()
    check_rounds()
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

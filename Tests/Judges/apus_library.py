"""Apus in this process: the dynamic library of Tests/JudgeLibrary, loaded by ctypes, and its tensors as objects that speak
DLPack as NumPy's and PyTorch's do (https://dmlc.github.io/dlpack/latest/python_spec.html)."""

import ctypes
import os

_P = ctypes.c_void_p
_api = ctypes.pythonapi
_api.PyCapsule_New.restype = ctypes.py_object
_api.PyCapsule_New.argtypes = [_P, ctypes.c_char_p, _P]
_api.PyCapsule_IsValid.argtypes = [_P, ctypes.c_char_p]
_api.PyCapsule_GetPointer.restype = _P
_api.PyCapsule_GetPointer.argtypes = [_P, ctypes.c_char_p]
_api.PyCapsule_SetName.argtypes = [_P, ctypes.c_char_p]

# Capsules keep pointers to their names.
NAMES = {True: b"dltensor_versioned", False: b"dltensor"}
USED = {True: b"used_dltensor_versioned", False: b"used_dltensor"}
# Where the deleter stands in the structure.
DELETER = {True: 16, False: 56}

library = None


def load(apus):
    """Loads the library that was built beside the program `apus`."""
    global library
    path = os.path.join(os.path.dirname(os.path.realpath(apus)), "libApusJudge.so")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} is not built")
    library = ctypes.CDLL(path)
    for name in ("consume", "lend", "view", "doubled", "changed", "network", "network_run"):
        getattr(library, f"judge_{name}").restype = _P
    library.judge_address.restype = ctypes.c_size_t
    library.judge_stride.restype = ctypes.c_ssize_t


class Refused(Exception):
    pass


def call(name, *arguments):
    """Calls a function that gives a pointer, or NULL and a message."""
    text = ctypes.create_string_buffer(1024)
    result = getattr(library, f"judge_{name}")(*arguments, text, ctypes.c_ssize_t(1024))
    if not result:
        raise Refused(text.value.decode())
    return _P(result)


def delete(pointer, versioned):
    """Calls a structure's deleter, if it has one."""
    deleter = _P.from_address(pointer + DELETER[versioned]).value
    if deleter:
        ctypes.CFUNCTYPE(None, _P)(deleter)(pointer)


@ctypes.PYFUNCTYPE(None, _P)
def _destroy(capsule):
    # A capsule that nobody consumed.
    for versioned, name in NAMES.items():
        if _api.PyCapsule_IsValid(capsule, name):
            delete(_api.PyCapsule_GetPointer(capsule, name), versioned)


def capsule(pointer, versioned):
    return _api.PyCapsule_New(pointer, NAMES[versioned], ctypes.cast(_destroy, _P))


class Tensor:
    """A tensor of Apus."""

    def __init__(self, handle):
        self.handle = handle

    @classmethod
    def consuming(cls, held):
        """Of a capsule that another library made."""
        versioned = bool(_api.PyCapsule_IsValid(id(held), NAMES[True]))
        pointer = _api.PyCapsule_GetPointer(id(held), NAMES[versioned])
        # From here on it is Apus's, whatever comes.
        _api.PyCapsule_SetName(id(held), USED[versioned])
        return cls(call("consume", _P(pointer), ctypes.c_bool(versioned)))

    @classmethod
    def of(cls, array):
        """Over another library's array, by the newest form that it speaks."""
        try:
            return cls.consuming(array.__dlpack__(max_version=(1, 1)))
        except TypeError:
            return cls.consuming(array.__dlpack__())

    def __del__(self):
        library.judge_free(self.handle)

    def __dlpack_device__(self):
        return 1, 0

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        versioned = max_version is not None and max_version[0] >= 1
        pointer = call("lend", self.handle, ctypes.c_bool(versioned), ctypes.c_bool(bool(copy)))
        return capsule(pointer, versioned)

    @property
    def address(self):
        return library.judge_address(self.handle)

    @property
    def type(self):
        text = ctypes.create_string_buffer(256)
        library.judge_type(self.handle, text, ctypes.c_ssize_t(256))
        return text.value.decode()

    def strides(self, rank):
        return tuple(library.judge_stride(self.handle, ctypes.c_ssize_t(i)) for i in range(rank))

    def made(self, name):
        return Tensor(_P(getattr(library, f"judge_{name}")(self.handle)))

"""Checks the vector kernels against NumPy and SciPy, at every instruction set this processor has.

    python3 check.py [elementwise] [specials] [reductions] [structured] [fused]

Needs clang, libgomp, numpy, scipy and ml_dtypes. CK_FLAGS adds compiler flags, for example
CK_FLAGS="-fsanitize=undefined -fno-sanitize-recover".
"""

import importlib
import os
import subprocess
import sys

FAMILIES = ["elementwise", "specials", "reductions", "structured", "fused"]
LEVELS = ["baseline", "avx2", "avx512"]


def check(families):
    from common import lib, log

    for family in families:
        importlib.import_module(family).run()
    level = lib.ck_cpu_level().decode()
    print(f"{level}: {log.count} comparisons, {len(log.failures)} failed")
    return 1 if log.failures else 0


if __name__ == "__main__":
    families = sys.argv[1:] or FAMILIES
    if "CK_CHECK_ONE_LEVEL" in os.environ:
        sys.exit(check(families))
    status = 0
    for level in LEVELS:
        environment = dict(os.environ, APUS_CPU=level, CK_CHECK_ONE_LEVEL="1")
        status |= subprocess.call([sys.executable, __file__, *families], env=environment)
    sys.exit(status)

"""Judges the C kernels against NumPy and SciPy, at every instruction set of this processor: Tests/CKernelsCheck."""

import importlib.util
import pathlib
import shutil
import subprocess
import sys


def main():
    missing = [name for name in ("numpy", "scipy", "ml_dtypes") if importlib.util.find_spec(name) is None]
    if missing or shutil.which("clang") is None:
        print(f"SKIPPED: {', '.join(missing) or 'clang'} is not here")
        sys.exit(77)
    check = pathlib.Path(__file__).resolve().parents[1] / "CKernelsCheck" / "check.py"
    sys.exit(subprocess.call([sys.executable, str(check)]))


if __name__ == "__main__":
    main()

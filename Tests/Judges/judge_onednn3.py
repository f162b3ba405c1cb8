"""Does the engine do with oneDNN 3 what it does with Debian 12's oneDNN 2?

Builds the tests against the headers of the oneDNN 3 that PyPI has, loads that library, and runs the engine's tests, its
conformance suite and the golden runs with it."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = ".build-onednn3"


def main():
    environment = pathlib.Path(sys.prefix)
    if not (environment / "include/oneapi/dnnl/dnnl.h").exists() or not (environment / "lib/libdnnl.so.3").exists():
        print("SKIPPED: no oneDNN 3 with its headers in the environment")
        sys.exit(77)
    flags = ["-c", "release", "--scratch-path", SCRATCH, "-Xcc", f"-I{environment / 'include'}", "-Xswiftc", "-enable-testing"]
    subprocess.run(["swift", "build", *flags, "--build-tests", "--quiet"], cwd=ROOT, check=True)
    libraries = {**os.environ, "LD_LIBRARY_PATH": str(environment / "lib")}
    apus = ROOT / SCRATCH / "release" / "apus"
    devices = subprocess.run([apus, "devices"], env=libraries, check=True, capture_output=True, text=True).stdout.strip()
    print(devices)
    if "oneDNN 3." not in devices:
        sys.exit("the build does not run with oneDNN 3")
    tests = subprocess.run(
        ["swift", "test", *flags, "--skip-build", "--filter", "ApusCPUTests|GoldenRun"],
        cwd=ROOT, env=libraries, capture_output=True, text=True)
    lines = tests.stdout.splitlines()
    print("\n".join(line for line in lines if line.startswith("✘") or "Test run with" in line))
    sys.exit(tests.returncode)


if __name__ == "__main__":
    main()

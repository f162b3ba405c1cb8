#!/usr/bin/env bash
# usage: Benchmarks/setup.sh [FOLDER]      makes the venv of peer frameworks (default: .venv-bench), versions pinned.
set -euo pipefail
folder=${1:-"$(dirname "$0")/../.venv-bench"}

if [[ -x $folder/bin/python && -e $folder/complete ]]; then
  exit 0
fi
python3 -m venv "$folder" || {
  echo "python3 -m venv failed: on Debian, apt-get install python3-venv" >&2
  exit 1
}
pip=("$folder/bin/python" -m pip install --quiet --disable-pip-version-check)

# The CPU build of torch is wanted. Where pip's find-links or index has it, its version says +cpu; PyPI's own wheel of
# the same version runs on the CPU as well, but brings several GB of CUDA libraries with it.
"${pip[@]}" "torch==2.13.0+cpu" 2>/dev/null || "${pip[@]}" "torch==2.13.0"
"${pip[@]}" numpy==2.4.6 tensorflow-cpu==2.21.0 keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 pillow==13.0.0
touch "$folder/complete"
"$folder/bin/python" -m pip list 2>/dev/null | grep -iE '^(torch|tensorflow-cpu|keras|jax|jaxlib|numpy) '

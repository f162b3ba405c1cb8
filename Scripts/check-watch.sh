#!/usr/bin/env bash
# Tests of the watch over hangs, and that nothing else ends a test: ./dev test runs them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=Scripts/watch.sh
source Scripts/watch.sh

# ends EXPECTED COMMAND...: whether the watched command ends with that exit code (as `hang` and `limit` have it).
ends() {
  local expected=$1 status=0
  shift
  WATCH_LOOKS=4 WATCH_CPU=2 watched "$@" 2>/dev/null || status=$?
  if [[ $status -ne $expected ]]; then
    echo "FAILED: '$*' ended with $status, not $expected"
    return 1
  fi
}

# Works in short pieces for longer than a silence may last.
works_slowly() {
  local i
  for _ in 1 2 3 4 5 6 7 8; do
    for ((i = 0; i < 20000; i++)); do :; done
    sleep 0.9
  done
}

waits_for_a_child() {
  sleep 1000 &
  wait
}

ends 0 true
ends 3 bash -c 'exit 3'
ends 0 works_slowly
ends 137 sleep 1000
ends 137 waits_for_a_child
ends 137 bash -c 'while :; do :; done' # its own processor time, whoever else wants some

# A process that gets little of the processor is not silent.
starves() {
  local i
  for ((i = 0; i < 100000; i++)); do :; done
}
loops=()
for _ in 1 2 3 4; do
  (while :; do :; done) &
  loops+=($!)
done
status=0
ends 0 nice -n 10 bash -c "$(declare -f starves); starves" || status=$?
kill "${loops[@]}"
wait "${loops[@]}" 2>/dev/null || true
[[ $status -eq 0 ]]

# No clock on the wall decides whether a test passes.
if grep -rnE '\.timeLimit\(|(^|[^a-z_])timeout [0-9]' Tests Scripts Examples dev .ci --include='*' \
  --exclude=check-watch.sh; then
  echo "FAILED: a limit in wall-clock time, which other processes share: use the watch (Scripts/watch.sh)"
  exit 1
fi

# shellcheck shell=bash
# To be sourced: `watched` runs a command that might hang.

# watched COMMAND...: runs it, and ends it when it hangs: when for WATCH_LOOKS looks, a second apart, it and its children
# used no processor time, and none of them waited for a processor or a disk. How long it takes is no matter: on a busy
# machine everything is slow. A loop without an end is ended by the processor time it used itself, WATCH_CPU seconds.
watched() {
  local status=0 watcher root=$BASHPID
  if [[ ! -r /proc/self/stat ]]; then # nothing to watch by
    "$@"
    return
  fi
  watch_for_silence "$root" &
  watcher=$!
  (
    ulimit -t "${WATCH_CPU:-7200}"
    "$@"
  ) || status=$?
  kill "$watcher" 2>/dev/null || true
  wait "$watcher" 2>/dev/null || true
  return "$status"
}

# watch_for_silence PID: kills PID's children, but not itself, when they are silent.
watch_for_silence() {
  local root=$1 own=$BASHPID silent=0 before="" now
  while [[ $silent -lt ${WATCH_LOOKS:-120} ]]; do
    sleep 1
    now=$(activity "$root" "$own")
    if [[ $now == "$before" ]]; then silent=$((silent + 1)); else silent=0; fi
    before=$now
    [[ $now == busy ]] && silent=0
  done
  echo "HANGS: no processor time in ${WATCH_LOOKS:-120} looks: what started last, above, did not end" >&2
  # shellcheck disable=SC2046  # one word a process
  kill -KILL $(descendants "$root" "$own") 2>/dev/null || true
}

# Of each process: number, parent, state, clock ticks with those of the children it has waited for. A name may hold blanks.
processes() {
  # Some end while they are read.
  { cat /proc/[0-9]*/stat 2>/dev/null || true; } | awk '{ pid = $1; sub(/^.*\) /, ""); print pid, $2, $1, $12 + $13 + $14 + $15 }'
}

# descendants PID EXCEPT: the processes below PID, without the branch EXCEPT.
descendants() {
  processes | awk -v root="$1" -v except="$2" '
    { parent[$1] = $2 }
    END { for (pid in parent) {
      for (at = pid; at in parent && at != root && at != except; at = parent[at]) { }
      if (at == root && pid != root) print pid
    } }'
}

# activity PID EXCEPT: "busy" when a process below PID runs or waits for a processor or a disk, else a number that grows
# with what they do.
activity() {
  processes | awk -v root="$1" -v except="$2" '
    { parent[$1] = $2; state[$1] = $3; ticks[$1] = $4 }
    END {
      for (pid in parent) {
        for (at = pid; at in parent && at != root && at != except; at = parent[at]) { }
        if (at != root || pid == root) continue
        sum += ticks[pid]
        if (state[pid] ~ /^[RD]$/) busy = 1
      }
      print busy ? "busy" : sum + 0
    }'
}

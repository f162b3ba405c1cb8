# shellcheck shell=bash
# shellcheck disable=SC2034  # its variables are used by those that source it
# What ./dev and its helper scripts share. To be sourced from the repository's root.

# What the build links, and what runs use when it is there (pictures' text).
BUILD_PACKAGES=(libdnnl-dev libopenblas-openmp-dev libpng-dev zlib1g-dev pkg-config)
RUN_PACKAGES=(libcairo2 fonts-dejavu-core)

# Tests, the consumer, the documents' programs, the examples and the judges share one build (release with testable
# imports): the same flags and the same folder, so the library is compiled once. `demo` and `bench` use the plain .build.
TEST_BUILD=.build-test
TEST_FLAGS=(-c release --scratch-path "$TEST_BUILD" -Xswiftc -enable-testing)

# shellcheck source=Scripts/watch.sh
source Scripts/watch.sh

step() {
  printf '\n== %s\n' "$*"
}

# Installs the Debian packages that are missing; says what to do where it cannot.
need_packages() {
  local missing=() package
  command -v swift >/dev/null || {
    echo "dev: no 'swift' on the PATH; install the toolchain from https://www.swift.org/install/linux/" >&2
    exit 69
  }
  command -v dpkg-query >/dev/null || return 0 # not a Debian: the compiler will say what is missing
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  [[ ${#missing[@]} -eq 0 ]] && return 0
  step "installing ${missing[*]}"
  local root=()
  if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
      echo "dev: as root, run: apt-get install ${missing[*]}" >&2
      exit 69
    fi
    root=(sudo)
  fi
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# SwiftPM plans anew only when it thinks the package changed, and does not see that it is another package's turn in the
# shared folder.
plan_anew() {
  rm -f "$TEST_BUILD"/release/description.json
}

# Builds all targets and tests once; a warning in this package's own sources is an error.
build_everything() {
  step "building everything (release, testable)"
  mkdir -p "$TEST_BUILD"
  plan_anew
  swift build "${TEST_FLAGS[@]}" --build-tests 2>&1 | tee "$TEST_BUILD/build.txt"
  # Remote dependencies' warnings are suppressed by SwiftPM, so what is left is ours.
  if grep -E '(Sources|Tests)/.*: warning:' "$TEST_BUILD/build.txt"; then
    echo "the build has warnings"
    return 1
  fi
}

# build_package FOLDER PRODUCT: builds a package that depends on this one, into the same build.
build_package() {
  plan_anew
  swift build "${TEST_FLAGS[@]}" --package-path "$1" --product "$2" >"$TEST_BUILD/package.txt" 2>&1 || {
    cat "$TEST_BUILD/package.txt"
    return 1
  }
  if grep -E ': warning:' "$TEST_BUILD/package.txt"; then
    return 1
  fi
}

# run_package FOLDER EXECUTABLE: builds such a package and runs it.
run_package() {
  build_package "$1" "$2" || return 1
  local program
  program=$(realpath "$(swift build "${TEST_FLAGS[@]}" --package-path "$1" --show-bin-path)/$2")
  # What a program writes beside itself stays out of the checkout.
  mkdir -p "$TEST_BUILD/run"
  (cd "$TEST_BUILD/run" && watched "$program")
}

# compare_output TITLE EXPECTED PRINTED: two files, line by line; … in EXPECTED stands for anything within its line.
compare_output() {
  local title=$1 expected printed pattern i
  mapfile -t expected <"$2"
  mapfile -t printed <"$3"
  for ((i = 0; i < ${#expected[@]} || i < ${#printed[@]}; i++)); do
    pattern=$(printf '%s' "${expected[i]-}" | sed -e 's/[][\\*?]/\\&/g' -e 's/…/*/g')
    # shellcheck disable=SC2053  # the right side is a pattern on purpose
    if [[ ${printed[i]-} != $pattern ]]; then
      printf 'FAILED: %s, line %d of the output\n  expected: %s\n  printed:  %s\n' \
        "$title" $((i + 1)) "${expected[i]-(nothing)}" "${printed[i]-(nothing)}"
      return 1
    fi
  done
}

RESULTS=()

# check TITLE COMMAND...: runs it, keeps going, remembers how it went.
check() {
  local title=$1 start=$SECONDS
  shift
  step "$title"
  # A subshell with its own `set -e`; `if` or `||` around it would switch that off.
  set +e
  (
    set -e
    "$@"
  )
  local status=$?
  set -e
  if [[ $status -eq 0 ]]; then
    RESULTS+=("passed  $title ($((SECONDS - start)) s)")
  else
    RESULTS+=("FAILED  $title ($((SECONDS - start)) s)")
  fi
}

passed() {
  [[ ${RESULTS[-1]} == "passed  $1 "* ]]
}

summarise() {
  step "summary"
  printf '%s\n' "${RESULTS[@]}"
  ! printf '%s\n' "${RESULTS[@]}" | grep -q ^FAILED
}

#!/usr/bin/env bash
# usage: Scripts/check-snippets.sh FILE.md ...        (from the repository's root, after ./dev test has built)
# Every ```swift block is a whole program: it is compiled against Apus and run. If the next block is a ```text block, it
# is the program's output, where … stands for anything within its line. A block opened with ```swift no-run is compiled
# only; ```swift fragment is left alone.
set -euo pipefail
# shellcheck source=Scripts/common.sh
source Scripts/common.sh

package=$TEST_BUILD/snippets
rm -rf "$package"
mkdir -p "$package"

# Sources/SnippetN/main.swift, and beside it `expected` (with ```text) and `no-run`.
awk -v root="$package" '
  /^```/ && !inside {
    inside = 1; target = ""
    if ($0 ~ /^```swift( no-run)?[ \t]*$/) {
      folder = sprintf("%s/Sources/Snippet%d", root, ++count)
      system("mkdir -p " folder)
      printf "%s:%d\n", FILENAME, FNR > (folder "/origin")
      target = folder "/main.swift"
      if ($0 ~ /no-run/) printf "" > (folder "/no-run")
      fresh = 1
    } else {
      if ($0 ~ /^```text/ && fresh) { target = folder "/expected"; printf "" > target }
      fresh = 0
    }
    next
  }
  /^```/ { inside = 0; if (target) close(target); next }
  inside && target { print > target }
' "$@"

if [[ ! -d $package/Sources ]]; then
  echo "no \`\`\`swift block in $*"
  exit 0
fi

{
  printf '// swift-tools-version: 6.2\nimport PackageDescription\nlet package = Package(\n  name: "snippets",\n'
  printf '  dependencies: [.package(name: "Apus", path: "%s")],\n  targets: [\n' "$PWD"
  for folder in "$package"/Sources/*/; do
    printf '    .executableTarget(name: "%s", dependencies: [.product(name: "Apus", package: "Apus"),' "$(basename "$folder")"
    printf ' .product(name: "ApusConformance", package: "Apus")],'
    printf ' exclude: ["origin"%s%s]),\n' \
      "$([[ -e $folder/expected ]] && echo ', "expected"')" "$([[ -e $folder/no-run ]] && echo ', "no-run"')"
  done
  printf '  ],\n  swiftLanguageModes: [.v6]\n)\n'
} >"$package/Package.swift"

status=0
for folder in "$package"/Sources/*/; do
  name=$(basename "$folder")
  origin=$(<"$folder/origin")
  if [[ -e $folder/no-run ]]; then
    echo "-- $origin (compiled only)"
    plan_anew
    swift build "${TEST_FLAGS[@]}" --package-path "$package" --product "$name" || status=1
    continue
  fi
  echo "-- $origin"
  if ! run_package "$package" "$name" >"$package/output"; then
    cat "$package/output"
    echo "FAILED: the program at $origin"
    status=1
    continue
  fi
  cat "$package/output"
  [[ -e $folder/expected ]] || continue
  compare_output "$origin" "$folder/expected" "$package/output" || status=1
done
exit "$status"

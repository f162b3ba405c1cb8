#!/usr/bin/env bash
# Builds the documentation of every library target into out/docs with the toolchain's own docc: no plugin, so nobody who
# depends on Apus resolves one. A warning is an error. Uses (or makes) the build of ./dev test.
set -euo pipefail
# shellcheck source=Scripts/common.sh
source Scripts/common.sh
need_packages "${BUILD_PACKAGES[@]}"

# The toolchain that `swift` is part of has docc beside it.
docc=$(command -v docc || echo "$(dirname "$(readlink -f "$(command -v swift)")")/docc")
if [[ ! -x $docc ]]; then
  echo "no docc on the PATH nor beside swift: it comes with the toolchain from swift.org" >&2
  exit 69
fi

# Lower rooms first: each may link to those before it. The umbrella comes last.
modules=(ApusCore ApusCPU ApusConformance ApusInterop ApusData ApusNN ApusFormats ApusTrain ApusWatch Apus)

mkdir -p "$TEST_BUILD"
step "collecting the public interface"
plan_anew
swift package "${TEST_FLAGS[@]}" dump-symbol-graph --minimum-access-level public --skip-synthesized-members
graphs=$(find "$TEST_BUILD"/*/symbolgraph -maxdepth 0 -type d | head -n 1)

rm -rf out/docs
mkdir -p out/docs "$TEST_BUILD/docs"
dependencies=()
archives=()
for module in "${modules[@]}"; do
  step "documentation of $module"
  rm -rf "$TEST_BUILD/docs/$module"
  mkdir -p "$TEST_BUILD/docs/$module"
  find "$graphs" \( -name "$module.symbols.json" -o -name "$module@*.symbols.json" \) \
    -exec cp {} "$TEST_BUILD/docs/$module" \;
  catalog=()
  [[ -d Sources/$module/$module.docc ]] && catalog=("Sources/$module/$module.docc")
  "$docc" convert "${catalog[@]}" --additional-symbol-graph-dir "$TEST_BUILD/docs/$module" \
    --fallback-display-name "$module" --fallback-bundle-identifier "apus.$module" \
    --enable-experimental-external-link-support "${dependencies[@]}" \
    --warnings-as-errors --output-dir "out/docs/$module.doccarchive"
  dependencies+=(--dependency "out/docs/$module.doccarchive")
  archives+=("out/docs/$module.doccarchive")
done
step "one archive of all"
"$docc" merge "${archives[@]}" --output-path out/docs/Apus-all.doccarchive
echo "documentation: out/docs/Apus-all.doccarchive (serve that folder and open /documentation)"

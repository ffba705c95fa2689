#!/usr/bin/env bash
# scripts/demo.sh [PICTURE [QUESTION]]: builds qvl, exports the demo checkpoint and asks it a question about a picture.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
picture=demo/pictures/shapes.jpg
question=${2:-Describe the image.}
if (($# > 0)); then
  if [[ ! -f $1 ]]; then
    echo "demo: there is no picture $1" >&2
    exit 3
  fi
  picture=$(realpath "$1")
fi
cd "$root"

heading() { printf '\n== %s\n' "$*" >&2; }

# Runs a command and then says how long it took and how much memory it held at its peak.
measured() {
  local code=0 figures
  if [[ -x /usr/bin/time ]]; then
    figures=$(mktemp)
    /usr/bin/time --quiet -o "$figures" -f '%e %M' "$@" || code=$?
    awk '{printf "   %.1f s, peak memory %.0f MiB\n", $1, $2 / 1024}' "$figures" >&2
    rm -f "$figures"
  else
    local start=$SECONDS
    "$@" || code=$?
    printf '   %d s (peak memory: not measured, /usr/bin/time is not installed)\n' $((SECONDS - start)) >&2
  fi
  return "$code"
}

heading "set-up"
scripts/setup.sh >&2

heading "build"
(cmake --preset release --log-level=WARNING >/dev/null && cmake --build --preset release --target qvl) >&2
qvl=build/release/qvl

heading "export: demo/shapes-vl -> demo/out"
measured "$qvl" export demo/shapes-vl --out demo/out --force

heading "run: $picture, \"$question\""
measured "$qvl" run demo/out --image "$picture" --prompt "$question"

#!/usr/bin/env bash
# bench/kill_export.sh CHECKPOINT FOLDER [TIMES]: kills an export (SIGKILL) at TIMES (20) random moments, looks each time
# at what can be seen in FOLDER, exports once more, and verifies the result against the checkpoint. For checkpoints of
# true size; tests/cli does the same with a small one. FOLDER must not exist. Exit code 1 when anything half-written
# was visible or the last export is not whole.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
qvl=${QVL:-$root/build/release/qvl}
(($# >= 2)) || { sed -n '2,5s/^# //p' "$0" >&2 && exit 2; }
checkpoint=$1 folder=$2 times=${3:-20}
[[ ! -e $folder ]] || { echo "kill_export: $folder is there already; name a new folder" >&2 && exit 2; }

seconds() { date +%s.%N; }

started=$(seconds)
"$qvl" export "$checkpoint" --out "$folder" --quiet >/dev/null
whole=$(awk -v a="$started" -v b="$(seconds)" 'BEGIN {printf "%.1f", b - a}')
expected=$(ls "$folder")
rm -rf "$folder"
echo "an export that is left alone: $whole s"

killed=0
while ((killed < times)); do
  moment=$(awk -v whole="$whole" -v random="$RANDOM" 'BEGIN {printf "%.2f", whole * random / 32768}')
  "$qvl" export "$checkpoint" --out "$folder" --quiet >/dev/null &
  pid=$!
  sleep "$moment"
  kill -KILL "$pid" 2>/dev/null || true
  code=0
  wait "$pid" 2>/dev/null || code=$?
  visible=$(ls "$folder" 2>/dev/null || true)
  if ((code == 0)); then # done before the moment came: not counted, and the next moments are earlier
    whole=$moment
    rm -rf "$folder"
    continue
  fi
  ((code == 137)) || { echo "kill_export: the export failed by itself (exit code $code)" >&2 && exit 1; }
  killed=$((killed + 1))
  echo "$killed: killed after $moment s, $(wc -w <<<"$visible") files visible"
  if [[ -n $visible ]]; then
    echo "kill_export: half an export is visible: $visible" >&2
    exit 1
  fi
done

"$qvl" export "$checkpoint" --out "$folder" --quiet >/dev/null
[[ $(ls "$folder") == "$expected" && -z $(find "$folder" -name '.qvl-partial-*') ]] || {
  echo "kill_export: the export after them is not whole" >&2
  exit 1
}
"$qvl" verify "$folder" --checkpoint "$checkpoint" --no-run

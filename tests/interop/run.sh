#!/usr/bin/env bash
# tests/interop/run.sh QVL BUILD_FOLDER: the artifacts of the tiny checkpoints, and their quantized twins, run in Python's
# onnxruntime with the outputs of `qvl infer`. Packages come from PyPI into BUILD_FOLDER/interop-python, the first time and
# when requirements.txt changes. Exit code 77 (skipped) with the reason where Python or the packages cannot be had.
set -euo pipefail

if (($# != 2)); then
  echo "usage: tests/interop/run.sh QVL BUILD_FOLDER" >&2
  exit 2
fi
qvl=$(realpath "$1") environment=$(realpath "$2")/interop-python
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=$here/../data

# NAME|options of `qvl quantize FOLDER --out FOLDER2` that make it.
quantized=(
  "int8|--format int8"
  "int8-64|--format int8:64"
  "int4-32|--format int4:32"
  "int8-dynamic|--format int8-dynamic"
  "int8-static|--format int8-static --data $data/shapes-data/calibration.jsonl --samples 2"
)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# shellcheck source=tests/interop/environment.sh
source "$here/environment.sh"

command -v python3 >/dev/null || skip "there is no python3"
make_environment "$environment" "$here/requirements.txt" python3
folders=()
for checkpoint in tiny-tied tiny-sharded; do
  "$qvl" export "$data/checkpoints/$checkpoint" --out "$scratch/$checkpoint" --image-size 112 --quiet >/dev/null
  folders+=("$scratch/$checkpoint")
done
# An unknown command's --help is that of the program.
if "$qvl" quantize --help 2>/dev/null | grep -q '^Usage: qvl quantize'; then
  for folder in "${folders[@]}"; do
    for entry in "${quantized[@]}"; do
      read -r -a options <<<"${entry#*|}"
      "$qvl" quantize "$folder" "${options[@]}" --out "$folder-${entry%%|*}" --quiet >/dev/null
      folders+=("$folder-${entry%%|*}")
    done
  done
else
  echo "left out: ${quantized[*]%%|*} (this qvl has no command quantize)"
fi
# As an export is without options: Python's onnx takes no data files that are hard links.
"$qvl" export "$here/../../demo/shapes-vl" --out "$scratch/shapes-vl" --quiet >/dev/null
folders+=("$scratch/shapes-vl")
"$environment/bin/python" "$here/compare.py" "$qvl" "$scratch" "${folders[@]}"

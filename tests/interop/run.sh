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

skip() {
  printf 'SKIPPED: nothing is run in Python: %s\n' "$1"
  exit 77
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

make_environment() {
  local python=$environment/bin/python
  if [[ -f $environment/.requirements ]] && cmp -s "$environment/.requirements" "$here/requirements.txt"; then
    return
  fi
  command -v python3 >/dev/null || skip "there is no python3"
  rm -rf "$environment"
  python3 -m venv "$environment" >"$scratch/log" 2>&1 ||
    skip "python3 -m venv fails (apt-get install python3-venv): $(tail -n 1 "$scratch/log")"
  timeout 240 "$python" -m pip install --quiet --disable-pip-version-check --retries 1 --no-deps --only-binary :all: \
    -r "$here/requirements.txt" >"$scratch/log" 2>&1 ||
    skip "the packages of tests/interop/requirements.txt cannot be had: $(grep -v '^ *$' "$scratch/log" | tail -n 1)"
  cp "$here/requirements.txt" "$environment/.requirements"
}

make_environment
folders=()
for checkpoint in tiny-tied tiny-sharded; do
  # Python's onnx takes no data files that are hard links.
  "$qvl" export "$data/checkpoints/$checkpoint" --out "$scratch/$checkpoint" --image-size 112 --copy-data --quiet \
    >/dev/null
  folders+=("$scratch/$checkpoint")
done
# An unknown command's --help is that of the program.
if "$qvl" quantize --help 2>/dev/null | grep -q '^Usage: qvl quantize'; then
  for folder in "${folders[@]}"; do
    for entry in "${quantized[@]}"; do
      read -r -a options <<<"${entry#*|}"
      "$qvl" quantize "$folder" "${options[@]}" --copy-data --out "$folder-${entry%%|*}" --quiet >/dev/null
      folders+=("$folder-${entry%%|*}")
    done
  done
else
  echo "left out: ${quantized[*]%%|*} (this qvl has no command quantize)"
fi
"$environment/bin/python" "$here/compare.py" "$qvl" "$scratch" "${folders[@]}"

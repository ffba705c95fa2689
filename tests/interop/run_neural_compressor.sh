#!/usr/bin/env bash
# tests/interop/run_neural_compressor.sh QVL BUILD_FOLDER: the demo's artifacts, text in f32, in Intel Neural Compressor. 2.6
# ranks the units of each by its strategy mse_v2 (static int8, three trials); 3.7.1, the last release that takes ONNX, rounds
# the weights to int4 (RTN). Packages come from PyPI into BUILD_FOLDER, each release in an environment of its own, the first
# time and when tools/compare_inc/requirements.txt changes. Exit code 77 (skipped) with the reason where they cannot be had.
set -euo pipefail

if (($# != 2)); then
  echo "usage: tests/interop/run_neural_compressor.sh QVL BUILD_FOLDER" >&2
  exit 2
fi
qvl=$(realpath "$1") build=$(realpath "$2")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
requirements=$root/tools/compare_inc/requirements.txt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# shellcheck source=tests/interop/environment.sh
source "$here/environment.sh"

# onnx 1.16 and onnxruntime 1.18, which Neural Compressor 2.6 needs, are built for these.
python=
for candidate in python3.11 python3.12 python3; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[[ -n $python ]] || skip "Neural Compressor 2.6 needs Python 3.11 or 3.12, and there is none"
make_environment "$build/interop-compressor-2.6" "$requirements" "$python"
sed 's/^neural_compressor==.*/neural_compressor==3.7.1/' "$requirements" >"$scratch/requirements-3.7.1.txt"
make_environment "$build/interop-compressor-3.7.1" "$scratch/requirements-3.7.1.txt" "$python"

folder=$scratch/model
"$qvl" export "$root/demo/shapes-vl" --out "$folder" --text-dtype f32 --image-size 112 --quiet >/dev/null
cd "$scratch" # Neural Compressor leaves a folder where it runs
for model in "$folder"/*.onnx; do
  name=$(basename "$model" .onnx)
  "$build/interop-compressor-2.6/bin/python" "$root/tools/compare_inc/compare_inc.py" "$model" --units --trials 3 \
    --samples 2 --dim batch=1 --dim seq=12 >"$scratch/$name.log" 2>"$scratch/$name.err" || {
    tail -n 20 "$scratch/$name.err"
    echo "FAILED $name: Neural Compressor 2.6 ends in an exception"
    exit 1
  }
  tail -n 1 "$scratch/$name.log" >"$scratch/$name.ranking.json"
  "$build/interop-compressor-3.7.1/bin/python" "$here/check_compressor.py" ranking "$model" "$scratch/$name.ranking.json"
  "$build/interop-compressor-3.7.1/bin/python" "$here/check_compressor.py" rtn "$model" 2>"$scratch/$name.err" || {
    tail -n 20 "$scratch/$name.err"
    exit 1
  }
done

#!/usr/bin/env bash
# tests/package/run.sh BUILD_DIR ARGUMENT...: installs BUILD_DIR into a folder of its own, builds examples/describe.cpp
# against the installed package and runs it with the arguments (CHECKPOINT FOLDER PICTURE). Fails when one of these fails
# or the program says nothing. FOLDER may be "-": a fresh one, so that the program exports the checkpoint itself.
# DESCRIBE_SOURCE names another source file.
set -euo pipefail

if (($# < 2)); then
  echo "usage: tests/package/run.sh BUILD_DIR ARGUMENT..." >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(cd "$1" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

quietly() { # a command whose output matters only when it fails
  if ! "$@" >"$scratch/log" 2>&1; then
    cat "$scratch/log"
    echo "package: failed: $*"
    exit 1
  fi
}

quietly cmake --install "$build" --prefix "$scratch/prefix"

# The package must say itself where everything is: no other package may be looked up on its behalf.
if grep -rn -E '^\s*find_(package|dependency)\(' "$scratch/prefix" --include='*.cmake'; then
  echo "package: the lines above ask for another package"
  exit 1
fi
# A header that is not installed, or one that only compiles after another, shows here.
for header in "$scratch"/prefix/include/qvl/*.h; do
  printf '#include "qvl/%s"\n' "$(basename "$header")" >"$scratch/one.cpp"
  quietly c++ -std=c++20 -fsyntax-only -Wall -Wextra -Werror -I "$scratch/prefix/include" "$scratch/one.cpp"
done

options=(-DCMAKE_BUILD_TYPE=Release "-DCMAKE_PREFIX_PATH=$scratch/prefix")
if [[ -n ${DESCRIBE_SOURCE:-} ]]; then
  options+=("-DDESCRIBE_SOURCE=$DESCRIBE_SOURCE")
fi
quietly cmake -S "$here" -B "$scratch/build" -G Ninja "${options[@]}"
quietly cmake --build "$scratch/build"

arguments=()
for argument in "${@:2}"; do
  [[ $argument != - ]] || argument=$scratch/model
  arguments+=("$argument")
done
if ! output=$("$scratch/build/describe" "${arguments[@]}"); then
  echo "package: the program failed"
  exit 1
fi
if [[ -z ${output//[[:space:]]/} ]]; then
  echo "package: the program said nothing"
  exit 1
fi
printf 'package: ok: %s\n' "$output"

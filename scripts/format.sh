#!/usr/bin/env bash
# scripts/format.sh [--check] [FILE...]: formats the C++ sources in place, or only says which are not formatted.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
formatter=$root/deps/clang-format/clang-format

check=false
if [[ ${1:-} == --check ]]; then
  check=true
  shift
fi
if [[ ! -x $formatter ]]; then
  echo "format: clang-format is not in deps/; run scripts/setup.sh --tests" >&2
  exit 4
fi

if (($# > 0)); then
  files=("$@")
else
  cd "$root"
  mapfile -d '' -t files < <(find src include tests fuzz bench examples -path tests/data -prune -o \
    \( -name '*.h' -o -name '*.cpp' \) -type f -print0 | sort -z)
fi

if $check; then
  # One line for a file, not one for each place in it.
  if ! list=$(printf '%s\0' "${files[@]}" |
    xargs -0 -n 16 -P "$(nproc)" "$formatter" --dry-run --Werror --ferror-limit=1 2>&1); then
    grep -E ': error: ' <<<"$list" | sed -E 's/^([^:]+):([0-9]+):.*/\1:\2: not formatted/' | sort -u || echo "$list"
    echo "format: the files above are not formatted; scripts/format.sh does it"
    exit 1
  fi
  echo "format: ${#files[@]} files are formatted"
else
  printf '%s\0' "${files[@]}" | xargs -0 -n 16 -P "$(nproc)" "$formatter" -i
  echo "format: ${#files[@]} files formatted"
fi

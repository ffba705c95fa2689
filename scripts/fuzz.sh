#!/usr/bin/env bash
# scripts/fuzz.sh [SECONDS [NAME...]]: builds the fuzz targets and runs each (or those named) for SECONDS (30), two at
# a time. What a run finds out is kept in build/fuzz/corpus/NAME, where the next goes on; an input that breaks a target
# is kept in build/fuzz/crashes/NAME. Exit code 1 when there is one.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/fuzz
targets_folder=$root/build/asan/fuzz # one build serves the unit tests under the sanitizers and the fuzz targets

export ASAN_OPTIONS=${ASAN_OPTIONS:-strict_string_checks=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
if [[ -f $root/tests/lsan.supp ]]; then
  export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$root/tests/lsan.supp:print_suppressions=0}
fi

run_one() { # NAME SECONDS; called by this script itself, once for each target
  local name=$1 seconds=$2 code=0 runs coverage
  local corpus=$build/corpus/$name crashes=$build/crashes/$name log=$build/logs/$name.log
  local folders=("$corpus" "$crashes") # what broke the target once is tried again
  mkdir -p "$corpus" "$crashes"
  if [[ -d $root/fuzz/seeds/$name ]]; then
    folders+=("$root/fuzz/seeds/$name")
  fi
  "$targets_folder/fuzz_$name" "${folders[@]}" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 \
    -artifact_prefix="$crashes/" -print_final_stats=1 >"$log" 2>&1 </dev/null || code=$?
  if ((code == 0)); then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
    printf '   ok    %-24s %12s runs, coverage %s\n' "$name" "${runs:-?}" "${coverage:-?}"
  else
    printf '   CRASH %-24s exit code %s\n' "$name" "$code"
    echo "$code" >"$build/logs/$name.failed"
  fi
}

report_crash() { # NAME
  local name=$1 log=$build/logs/$1.log input
  input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
  printf '\nfuzz target %s failed (exit code %s)\n' "$name" "$(<"$build/logs/$name.failed")"
  # From the first line of the report, without the picture of the memory around the place.
  awk '/ERROR: |runtime error: / {inside = 1}
       /^Shadow bytes around/ {exit}
       inside && lines++ < 40 {print "   " $0}' "$log"
  printf '   input:  %s\n' "${input:-none was written, see $log}"
  if [[ -n $input ]]; then
    printf '   repeat: %s %s\n' "$targets_folder/fuzz_$name" "$input"
  fi
}

if [[ ${1:-} == --one ]]; then
  run_one "$2" "$3"
  exit 0
fi

seconds=${1:-30}
if [[ ! $seconds =~ ^[1-9][0-9]*$ ]]; then
  echo "usage: scripts/fuzz.sh [SECONDS [NAME...]]" >&2
  exit 2
fi
shift || true

cd "$root"
cmake --preset asan >/dev/null
# Anchored, since file names of the same form are in the list too.
mapfile -t targets < <(cmake --build --preset asan --target help | sed -n 's/^fuzz_\([a-z0-9_]*\): phony$/\1/p' | sort)
if (($# > 0)); then
  for name in "$@"; do
    if [[ " ${targets[*]} " != *" $name "* ]]; then
      echo "fuzz: no target is called $name; there are: ${targets[*]}" >&2
      exit 2
    fi
  done
  targets=("$@")
fi
if ((${#targets[@]} == 0)); then
  echo "fuzz: fuzz/CMakeLists.txt registers no target" >&2
  exit 1
fi
cmake --build --preset asan --target "${targets[@]/#/fuzz_}"

mkdir -p "$build/logs"
rm -f "$build"/logs/*.failed
echo "fuzz: ${#targets[@]} targets, $seconds s each"
printf '%s\0' "${targets[@]}" | xargs -0 -P 2 -I '{}' "$root/scripts/fuzz.sh" --one '{}' "$seconds"

broken=()
for name in "${targets[@]}"; do
  if [[ -f $build/logs/$name.failed ]]; then
    report_crash "$name"
    broken+=("$name")
  fi
done
echo "fuzz: $((${#targets[@]} - ${#broken[@]})) targets ok, ${#broken[@]} broken${broken[*]:+: ${broken[*]}}"
((${#broken[@]} == 0))

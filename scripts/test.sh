#!/usr/bin/env bash
# Everything that must hold before a change goes in; CI runs this and nothing else.
#   scripts/test.sh                   all steps
#   scripts/test.sh format release    only these
# All steps run even when one fails. What failed is printed last, with the end of its log; the exit code is then 1.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=$root/build/logs
all_steps=(format layers release asan fuzz)
cd "$root"
exec </dev/null

export ASAN_OPTIONS=${ASAN_OPTIONS:-strict_string_checks=1:detect_stack_use_after_return=1:check_initialization_order=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
if [[ -f $root/tests/lsan.supp ]]; then
  export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$root/tests/lsan.supp:print_suppressions=0}
fi

steps=("$@")
if ((${#steps[@]} == 0)); then
  steps=("${all_steps[@]}")
fi
for step in "${steps[@]}"; do
  if [[ " ${all_steps[*]} " != *" $step "* ]]; then
    echo "usage: scripts/test.sh [$(IFS='|' && echo "${all_steps[*]}")]..." >&2
    exit 2
  fi
done

# --- the steps: each prints to stdout and returns 0 when all is well -------------------------------------------------

describe() {
  case $1 in
    format) echo "the sources are formatted" ;;
    layers) echo "includes obey the order of the layers" ;;
    release) echo "release build, warnings are errors; all tests" ;;
    asan) echo "unit tests under AddressSanitizer and UndefinedBehaviorSanitizer" ;;
    fuzz) echo "5 s of each fuzz target" ;;
  esac
}

build() { # PRESET [TARGET]
  cmake --preset "$1" -DQVL_WERROR=ON >/dev/null && cmake --build --preset "$1" --target "${2:-all}"
}

run_format() { scripts/format.sh --check; }

run_layers() { tests/layers.sh --self-test && tests/layers.sh; }

run_release() { build release && ctest --test-dir build/release -j2 --output-on-failure --no-tests=error; }

run_asan() { build asan unit_tests && ctest --test-dir build/asan -L unit -j2 --output-on-failure --no-tests=error; }

run_fuzz() { scripts/fuzz.sh 5; } # enough to find a target that is broken; scripts/fuzz.sh is for long runs

# --- what their logs say ---------------------------------------------------------------------------------------------

# ctest's totals as "PASSED FAILED SKIPPED"; nothing when the log has none.
test_totals() { # LOG
  awk '/ Test +#[0-9]+: .*\*\*\*Skipped/ {skipped++}
       match($0, /[0-9]+ tests? failed out of [0-9]+/) {
         split(substr($0, RSTART, RLENGTH), word, " ")
         failed = word[1]; total = word[6]; found = 1
       }
       END {if (found) print total - failed - skipped, failed + 0, skipped + 0}' "$1"
}

failed_tests() { # LOG: one name a line
  sed -n -E '/The following tests FAILED:/,$ s/^\s+[0-9]+ - (.*) \([A-Za-z_ ]+\).*$/\1/p' "$1" | sort -u
}

# The output of the first failed tests, which in a long log lies far from its end.
failed_output() { # LOG
  awk '/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
         inside = /\*\*\*/ && !/\*\*\*Skipped/ && !/\*\*\*Not Run/
         if (inside && ++count > 5) exit
         lines = 0
       }
       /^ +Start +[0-9]+: / || /^[0-9]+% tests passed/ {inside = 0}
       inside && lines++ < 40' "$1"
}

report_failure() { # STEP
  local log=$logs/$1.log names
  names=$(failed_tests "$log")
  printf '\n== FAILED: %s (the whole log: %s)\n' "$1" "${log#"$root"/}"
  if [[ -n $names ]]; then
    failed_output "$log"
    printf 'failed tests:\n'
    head -50 <<<"$names" | sed 's/^/   /'
  else
    tail -n 60 "$log"
  fi
}

# --- main ------------------------------------------------------------------------------------------------------------

printf '== set-up\n'
scripts/setup.sh --tests

mkdir -p "$logs"
failed_steps=() rows=() passed_count=0 failed_count=0 skipped_count=0 counted=false
for step in "${steps[@]}"; do
  printf '\n== %s: %s\n' "$step" "$(describe "$step")"
  log=$logs/$step.log
  started=$SECONDS
  result=ok
  # A shell of its own, so that the step's commands stop at the first error there.
  if ! ("run_$step") >"$log" 2>&1; then
    result=FAILED
    failed_steps+=("$step")
  fi
  seconds=$((SECONDS - started))
  totals=$(test_totals "$log")
  note=$(tail -n 1 "$log")
  failed=0
  if [[ -n $totals ]]; then
    read -r passed failed skipped <<<"$totals"
    passed_count=$((passed_count + passed)) failed_count=$((failed_count + failed))
    skipped_count=$((skipped_count + skipped)) counted=true
    note="$passed passed, $failed failed, $skipped skipped"
  fi
  if [[ $result == FAILED ]] && ((failed == 0)); then
    failed_count=$((failed_count + 1)) # a step that has no tests, or that failed before they ran
  fi
  printf '   %s, %d s: %s\n' "$result" "$seconds" "$note"
  rows+=("$(printf '%-9s %-7s %5d s   %s' "$step" "$result" "$seconds" "$note")")
done

printf '\n== summary\n'
printf '%s\n' "${rows[@]}"
if ! $counted; then # no step with tests of its own ran: then each step counts as one
  passed_count=$((${#steps[@]} - ${#failed_steps[@]}))
fi
if ((skipped_count > 0)); then
  printf '%d passed, %d failed, %d skipped\n' "$passed_count" "$failed_count" "$skipped_count"
else
  printf '%d passed, %d failed\n' "$passed_count" "$failed_count"
fi

if ((${#failed_steps[@]} > 0)); then
  for step in "${failed_steps[@]}"; do report_failure "$step"; done
  printf '\nFAILED:\n'
  for step in "${failed_steps[@]}"; do
    names=$(failed_tests "$logs/$step.log" | head -20 | paste -s -d ' ')
    printf '   %s: %s\n' "$step" "${names:-$(tail -n 1 "$logs/$step.log")}"
  done
  exit 1
fi

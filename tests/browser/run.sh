#!/usr/bin/env bash
# tests/browser/run.sh MAKE_REPORT: writes made-up reports and opens them in Chromium. Exit code 77 (skipped) where
# node, Chromium or playwright-core is missing; `scripts/setup.sh --tests` installs them.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
playwright=$root/deps/playwright
chromium=/usr/bin/chromium

missing=()
command -v node >/dev/null || missing+=("node")
[[ -x $chromium ]] || missing+=("$chromium")
[[ -f $playwright/index.mjs ]] || missing+=("deps/playwright")
if ((${#missing[@]} > 0)); then
  echo "SKIPPED: the page is not opened in a browser, missing: ${missing[*]} (scripts/setup.sh --tests installs them)"
  exit 77
fi

reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
for kind in plain resnet hostile empty; do "$1" "$kind" "$reports/$kind"; done
"$1" 3b "$reports/3b" 8
"$1" plain "$reports/planned-plain" 1
node "$root/tests/browser/report_page_test.mjs" "$playwright" "$chromium" "$reports"

#!/usr/bin/env bash
# tests/layers.sh [ROOT]: checks that the includes in ROOT/src and ROOT/include obey the layers (docs/architecture.md):
#
#   core <- {checkpoint,text,image,onnx,quant,runtime} <- qwen25vl <- {exporter,engine,synth} <- {sensitivity,server,verify} <- quantizer <- {planner,evaluation} <- bench <- cli
#
# An arrow's right side may include its left; siblings in braces never include each other. Each violation is printed
# as FILE:LINE: REASON, and the exit code is then 1. With --self-test it checks itself on a tree made for that.
set -euo pipefail

# The rules. Reads "F path" for each header that exists, then grep's "path:line:#include ..." lines.
# shellcheck disable=SC2016
rules='
function report(reason) { printf "%s:%s: %s\n", path, line, reason; bad = 1 }
function layer_of(name) { sub(/\/.*/, "", name); return name }
BEGIN {
  order = "core|checkpoint text image onnx quant runtime|qwen25vl|exporter engine synth|sensitivity server verify|quantizer|planner evaluation|bench|cli"
  count = split(order, row, "|")
  for (i = 1; i <= count; i++) {
    members = split(row[i], member, " ")
    for (j = 1; j <= members; j++) rank[member[j]] = i
  }
}
/^F / { exists[substr($0, 3)] = 1; next }
{
  split($0, field, ":"); path = field[1]; line = field[2]
  text = substr($0, length(path) + length(line) + 3)
  public = path ~ /^include\//
  layer = public ? "" : layer_of(substr(path, 5))
  if (!public && !(layer in rank)) { report("src/" layer " is no layer"); next }

  if (match(text, /"[^"]*"/)) quoted = 1
  else if (match(text, /<[^>]*>/)) quoted = 0
  else { report("an include that names no file"); next }
  name = substr(text, RSTART + 1, RLENGTH - 2)
  ours = quoted && (("src/" name) in exists || ("include/" name) in exists)

  if (!ours && (name ~ /onnxruntime/ || name ~ /^core\/(session|providers)\//)) {
    if (public) report("the public API includes ONNX Runtime: " name)
    else if (layer != "runtime") report("only src/runtime includes ONNX Runtime: " name)
  } else if (!ours && name ~ /^(onnx|google\/protobuf)\//) {
    if (public) report("the public API includes protobuf: " name)
    else if (layer != "onnx") report("only src/onnx includes the ONNX and protobuf headers: " name)
  } else if (name ~ /^nlohmann\//) {
    if (public) report("the public API includes a JSON library: " name)
    else if (path !~ /\.cpp$/ && path != "src/core/json_text.h")
      report("only .cpp files and core/json_text.h include nlohmann: " name)
  } else if (public) {
    if (quoted ? name !~ /^qvl\/[^\/]+\.h$/ : name !~ /^[a-z_0-9]+$/)
      report("the public API includes only qvl/*.h and standard headers: " name)
    else if (quoted && !ours) report("no such header: " name)
  } else if (quoted) {
    target = layer_of(name)
    if (!ours) report("no such header below src/ or include/ (write the path from there): " name)
    else if (target != "qvl" && !(target in rank)) report("src/" target " is no layer")
    else if (target != "qvl" && target != layer && rank[target] >= rank[layer])
      report("src/" layer " may not include src/" target ": " name)
  } else if (layer_of(name) in rank || name ~ /^qvl\//) {
    report("a header of our own in angle brackets: " name)
  }
}
END { exit bad }
'

check() ( # ROOT
  cd "$1"
  folders=()
  for folder in src include; do
    [[ ! -d $folder ]] || folders+=("$folder")
  done
  if ((${#folders[@]} == 0)); then
    echo "layers: neither src nor include in $1" >&2
    exit 2
  fi
  {
    find "${folders[@]}" -type f -printf 'F %p\n'
    # /dev/null: the exit code of a tree without includes, and the file name of a tree with one file
    grep -rnE '^[[:space:]]*#[[:space:]]*include' --include='*.h' --include='*.hpp' --include='*.cpp' --include='*.cc' \
      --include='*.inc' "${folders[@]}" | sort -t: -k1,1 -k2,2n || true
  } | awk "$rules"
)

self_test() {
  local tree expected found
  tree=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$tree'" EXIT
  put() { # PATH LINE...
    mkdir -p "$tree/$(dirname "$1")"
    printf '%s\n' "${@:2}" >"$tree/$1"
  }
  local layer
  for layer in core checkpoint text image onnx quant runtime qwen25vl exporter engine synth sensitivity server verify quantizer planner evaluation bench cli; do
    put "src/$layer/own.h" '#pragma once' '#include <vector>' '#include "qvl/error.h"'
  done
  put include/qvl/error.h '#include <string>'
  put include/qvl/qvl.h '#include "qvl/error.h"' '#include <cstdint>'
  # What is allowed, each kind once.
  put src/core/json_text.h '#include <nlohmann/json.hpp>'
  put src/checkpoint/good.cpp '#include "checkpoint/own.h"' '#include "core/own.h"' '#include <nlohmann/json.hpp>'
  put src/onnx/good.h '#include <onnx/onnx_pb.h>' '#include <google/protobuf/message.h>' '#include "onnx/own.h"'
  put src/runtime/good.cpp '#include <onnxruntime_c_api.h>' '#include <core/providers/resource.h>'
  put src/qwen25vl/good.cpp '#include "text/own.h"' '#include "onnx/own.h"' '// #include "cli/own.h"'
  put src/engine/good.cpp '#include "qwen25vl/own.h"' '#include "runtime/own.h"'
  put src/verify/good.cpp '#include "engine/own.h"' '#include "exporter/own.h"'
  put src/server/good.cpp '#include "engine/own.h"' '#include "exporter/own.h"' '#include <httplib.h>'
  put src/planner/good.cpp '#include "quantizer/own.h"' '#include "sensitivity/own.h"'
  put src/bench/good.cpp '#include "engine/own.h"' '#include "sensitivity/own.h"' '#include "exporter/own.h"'
  put src/cli/good.cpp '#include "server/own.h"' '#include "sensitivity/own.h"' '#include <CLI/CLI.hpp>'
  if ! found=$(check "$tree"); then
    printf 'layers: self-test: an allowed include was reported:\n%s\n' "$found"
    return 1
  fi

  # What is not, each kind once: the line with BAD is the only one to be reported in its file.
  put src/core/bad_up.cpp '#include "core/own.h"' '#include "text/own.h"  // BAD'
  put src/text/bad_sibling.cpp '#include "image/own.h"  // BAD'
  put src/quant/bad_sibling.cpp '#include "runtime/own.h"  // BAD'
  put src/qwen25vl/bad_up.h '#include "exporter/own.h"  // BAD'
  put src/exporter/bad_sibling.cpp '  #  include "engine/own.h"  // BAD'
  put src/sensitivity/bad_above.cpp '#include "quantizer/own.h"  // BAD'
  put src/planner/bad_sibling.cpp '#include "evaluation/own.h"  // BAD'
  put src/verify/bad_above.cpp '#include "bench/own.h"  // BAD'
  put src/exporter/bad_verify.cpp '#include "verify/own.h"  // BAD'
  put src/synth/bad_sibling.cpp '#include "exporter/own.h"  // BAD'
  put src/sensitivity/bad_sibling.cpp '#include "server/own.h"  // BAD'
  put src/engine/bad_cli.cpp '#include "cli/own.h"  // BAD'
  put src/helpers/bad_layer.cpp '#include <vector>  // BAD'
  put src/image/bad_relative.cpp '#include "own.h"  // BAD'
  put src/image/bad_parent.cpp '#include "../core/own.h"  // BAD'
  put src/image/bad_missing.cpp '#include "core/absent.h"  // BAD'
  put src/image/bad_angle.cpp '#include <core/own.h>  // BAD'
  put src/image/bad_macro.cpp '#include HEADER  // BAD'
  put src/engine/bad_ort.cpp '#include <onnxruntime_cxx_api.h>  // BAD'
  put src/engine/bad_ort_quoted.cpp '#include "onnxruntime_c_api.h"  // BAD'
  put src/exporter/bad_onnx.cpp '#include <onnx/checker.h>  // BAD'
  put src/runtime/bad_protobuf.cpp '#include <google/protobuf/message.h>  // BAD'
  put src/checkpoint/bad_json.h '#include <nlohmann/json.hpp>  // BAD'
  put include/qvl/bad_src.h '#include "core/own.h"  // BAD'
  put include/qvl/bad_json.h '#include <nlohmann/json.hpp>  // BAD'
  put include/qvl/bad_ort.h '#include <onnxruntime_c_api.h>  // BAD'
  put include/qvl/bad_onnx.h '#include <onnx/onnx_pb.h>  // BAD'
  put include/qvl/bad_other.h '#include <fmt/core.h>  // BAD'
  put include/qvl/bad_missing.h '#include "qvl/absent.h"  // BAD'
  expected=$(cd "$tree" && grep -rn BAD . | sed -E 's#^\./([^:]+:[0-9]+):.*#\1#' | sort)
  found=$(check "$tree" || true)
  if check "$tree" >/dev/null; then
    echo "layers: self-test: the exit code for a broken tree is 0"
    return 1
  fi
  if ! diff <(echo "$expected") <(sed -E 's/^([^:]+:[0-9]+):.*/\1/' <<<"$found" | sort); then
    printf 'layers: self-test: above, < was not reported and > should not be:\n%s\n' "$found"
    return 1
  fi
  echo "layers: self-test ok, $(wc -l <<<"$expected") kinds of violation are found"
}

case ${1:-} in
  --self-test) self_test ;;
  *)
    root=$(cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}" && pwd)
    if check "$root"; then
      echo "layers: ok"
    else
      code=$?
      echo "layers: the includes above break the order of the layers"
      exit "$code"
    fi
    ;;
esac

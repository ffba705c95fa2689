#!/usr/bin/env bash
# tests/layers.sh [ROOT]: checks that the includes in ROOT/src and ROOT/include obey the layers (docs/architecture.md):
#
#   core <- kernels <- {checkpoint,text,image,onnx,quant,runtime} <- models <- folder <- {exporter,engine,synth}
#        <- {replay,verify} <- {sensitivity,quantizer} <- {planner,evaluation} <- {bench,server} <- cli
#
# An arrow's right side may include its left; siblings in braces never include each other. Each violation is printed
# as FILE:LINE: REASON, and the exit code is then 1. It also checks that sources include the standard headers, fmt and
# nlohmann-json where they use them. With --self-test it checks itself on a tree made for that.
set -euo pipefail

# The rules. Reads "F path" for each header that exists, then grep's "path:line:#include ..." lines.
# shellcheck disable=SC2016
rules='
function report(reason) { printf "%s:%s: %s\n", path, line, reason; bad = 1 }
function layer_of(name) { sub(/\/.*/, "", name); return name }
BEGIN {
  order = "core|kernels|checkpoint text image onnx quant runtime|models|folder|exporter engine synth|replay verify|sensitivity quantizer|planner evaluation|bench server|cli"
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

# Whether sources include what they use of what is precompiled (cmake/Layers.cmake), themselves or by headers of ours:
# with precompiled headers the compiler does not tell. Reads the sources.
# shellcheck disable=SC2016
use_rules='
function has(path, header,   n, i, list) {
  if ((path, header) in known) return known[path, header]
  known[path, header] = 0
  if ((path, header) in includes) return known[path, header] = 1
  n = split(own[path], list, " ")
  for (i = 1; i <= n; i++) if (has(list[i], header)) return known[path, header] = 1
  return 0
}
BEGIN {
  count = split("vector array map optional span string_view thread atomic unordered_map unordered_set random fstream sstream", same, " ")
  for (i = 1; i <= count; i++) wants[same[i]] = same[i]
  wants["unique_ptr"] = wants["make_unique"] = wants["shared_ptr"] = wants["make_shared"] = "memory"
  wants["mutex"] = wants["lock_guard"] = wants["unique_lock"] = "mutex"
  wants["function"] = "functional"; wants["filesystem"] = "filesystem"
  wants["ifstream"] = wants["ofstream"] = "fstream"; wants["istringstream"] = wants["ostringstream"] = "sstream"
}
/^[ \t]*#[ \t]*include/ {
  if (match($0, /<[^>]*>/)) {
    name = substr($0, RSTART + 1, RLENGTH - 2); includes[FILENAME, name] = 1
    if (name ~ /^fmt\//) includes[FILENAME, "fmt/format.h"] = 1
  } else if (match($0, /"[^"]*"/)) {
    name = substr($0, RSTART + 1, RLENGTH - 2)
    own[FILENAME] = own[FILENAME] " " (name ~ /^qvl\// ? "include/" : "src/") name
  }
  next
}
{
  text = $0; sub(/\/\/.*/, "", text); gsub(/"([^"\\]|\\.)*"/, "", text)
  if (text ~ /fmt::/) uses[FILENAME, "fmt/format.h"] = FNR
  if (text ~ /nlohmann::/) uses[FILENAME, "nlohmann/json.hpp"] = FNR
  while (match(text, /std::[a-z_]+/)) {
    name = substr(text, RSTART + 5, RLENGTH - 5); text = substr(text, RSTART + RLENGTH)
    if (name in wants && !((FILENAME, wants[name]) in uses)) uses[FILENAME, wants[name]] = FNR
  }
}
END {
  for (key in uses) {
    split(key, part, SUBSEP)
    if (has(part[1], part[2])) continue
    printf "%s:%d: <%s> is included neither here nor by a header of ours\n", part[1], uses[key], part[2]
    bad = 1
  }
  exit bad
}
'

check() ( # ROOT
  cd "$1"
  folders=() code=0
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
  } | awk "$rules" || code=1
  find "${folders[@]}" -type f \( -name '*.h' -o -name '*.cpp' \) -print0 | xargs -0 awk "$use_rules" | sort || code=1
  exit "$code"
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
  for layer in core kernels checkpoint text image onnx quant runtime models folder exporter engine synth replay verify \
    sensitivity quantizer planner evaluation bench server cli; do
    put "src/$layer/own.h" '#pragma once' '#include <vector>' '#include "qvl/error.h"'
  done
  put include/qvl/error.h '#include <string>'
  put include/qvl/qvl.h '#include "qvl/error.h"' '#include <cstdint>'
  # What is allowed, each kind once.
  put src/core/json_text.h '#include <nlohmann/json.hpp>'
  put src/checkpoint/good.cpp '#include "checkpoint/own.h"' '#include "core/own.h"' '#include <nlohmann/json.hpp>'
  put src/onnx/good.h '#include <onnx/onnx_pb.h>' '#include <google/protobuf/message.h>' '#include "onnx/own.h"'
  put src/runtime/good.cpp '#include <onnxruntime_c_api.h>' '#include <core/providers/resource.h>'
  put src/models/good.cpp '#include "text/own.h"' '#include "onnx/own.h"' '// #include "cli/own.h"'
  put src/engine/good.cpp '#include "models/own.h"' '#include "runtime/own.h"'
  put src/verify/good.cpp '#include "engine/own.h"' '#include "exporter/own.h"' '#include "folder/own.h"'
  put src/models/family/good.cpp '#include "models/own.h"' '#include "image/own.h"' '#include "kernels/own.h"'
  put src/quantizer/good.cpp '#include "replay/own.h"'
  put src/server/good.cpp '#include "engine/own.h"' '#include "exporter/own.h"' '#include <httplib.h>'
  put src/planner/good.cpp '#include "quantizer/own.h"' '#include "sensitivity/own.h"'
  put src/bench/good.cpp '#include "engine/own.h"' '#include "sensitivity/own.h"' '#include "exporter/own.h"'
  put src/cli/good.cpp '#include "server/own.h"' '#include "sensitivity/own.h"' '#include <CLI/CLI.hpp>'
  put src/core/uses.h '#include <vector>' 'std::vector<int> all();  // std::map'
  put src/core/good_uses.cpp '#include "core/uses.h"' '#include <fmt/core.h>' 'std::vector<int> a = fmt::x("std::span");'
  if ! found=$(check "$tree"); then
    printf 'layers: self-test: an allowed include was reported:\n%s\n' "$found"
    return 1
  fi

  # What is not, each kind once: the line with BAD is the only one to be reported in its file.
  put src/core/bad_up.cpp '#include "core/own.h"' '#include "text/own.h"  // BAD'
  put src/text/bad_sibling.cpp '#include "image/own.h"  // BAD'
  put src/quant/bad_sibling.cpp '#include "runtime/own.h"  // BAD'
  put src/models/bad_up.h '#include "exporter/own.h"  // BAD'
  put src/exporter/bad_sibling.cpp '  #  include "engine/own.h"  // BAD'
  put src/sensitivity/bad_above.cpp '#include "quantizer/own.h"  // BAD'
  put src/kernels/bad_up.cpp '#include "quant/own.h"  // BAD'
  put src/folder/bad_up.cpp '#include "exporter/own.h"  // BAD'
  put src/models/family/bad_up.cpp '#include "folder/own.h"  // BAD'
  put src/replay/bad_sibling.cpp '#include "verify/own.h"  // BAD'
  put src/quantizer/bad_sibling.cpp '#include "sensitivity/own.h"  // BAD'
  put src/planner/bad_sibling.cpp '#include "evaluation/own.h"  // BAD'
  put src/verify/bad_above.cpp '#include "bench/own.h"  // BAD'
  put src/exporter/bad_verify.cpp '#include "verify/own.h"  // BAD'
  put src/synth/bad_sibling.cpp '#include "exporter/own.h"  // BAD'
  put src/bench/bad_sibling.cpp '#include "server/own.h"  // BAD'
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
  put src/core/bad_std.cpp '#include <map>' 'std::map<int, int> m;' 'std::span<int> s;  // BAD'
  put src/core/bad_fmt.cpp '#include "core/uses.h"' 'auto text = fmt::format("x");  // BAD'
  put src/core/bad_json.cpp 'nlohmann::json json;  // BAD'
  put src/core/bad_memory.cpp '#include <vector>' 'auto p = std::make_unique<int>(1);  // BAD'
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
      echo "layers: the includes above break the rules"
      exit "$code"
    fi
    ;;
esac

#include "sensitivity/skeleton.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <string_view>

#include "qvl/version.h"
#include "replay/graph_walk.h"
#include "replay/unmeasured.h"
#include "runtime/library.h"
#include "sensitivity/run_settings.h"

namespace qvl {
namespace {

// What a name's parts are divided by: dots and underscores only where there are no slashes.
char separator_of(const std::string& name) {
  for (const char c : {'/', '.'}) {
    if (name.find(c) != std::string::npos) return c;
  }
  return '_';
}

std::vector<std::string> split(const std::string& name, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= name.size()) {
    const std::size_t end = std::min(name.find(separator, begin), name.size());
    parts.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

// "stage2", "layer_3", "Block.1": words that are for parts of a network that there are several of.
bool is_stage(const std::string& part) {
  for (const char* word : {"stage", "layer", "block", "unit", "group"}) {
    const std::string_view text = part;
    const std::size_t size = std::string_view(word).size();
    const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
    if (text.size() <= size ||
        !std::equal(word, word + size, text.begin(), [&](char w, char t) { return same(t, w); }))
      continue;
    std::string_view number = text.substr(size);
    if (number.front() == '.' || number.front() == '_' || number.front() == 's') number.remove_prefix(1);
    if (number.starts_with('.') || number.starts_with('_')) number.remove_prefix(1);
    if (is_number(number)) return true;
  }
  return false;
}

// "layers.3", "3", "stage2"; of names with underscores only the last: "conv2d_19" counts ops.
bool is_numbered(const std::string& part, char separator) {
  if (is_stage(part)) return true;
  if (separator == '_') return false;
  return is_number(std::string_view(part).substr(part.rfind('.') + 1));
}

std::string join(const std::vector<std::string>& parts, std::size_t begin, std::size_t end, char separator) {
  std::string text;
  for (std::size_t i = begin; i < end; ++i) text += (i == begin ? "" : std::string(1, separator)) + parts[i];
  return text;
}

// Whether the number of parts[i] counts the steps of a sequence: the part before has the same name without it
// ("conv/conv.1"), and before that there is another number.
bool counts_steps(const std::vector<std::string>& parts, std::size_t i, char separator) {
  if (i < 2 || !parts[i].starts_with(parts[i - 1] + ".")) return false;
  return std::any_of(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(i) - 1,
                     [&](const std::string& part) { return is_numbered(part, separator); });
}

}  // namespace

UnitPlace place_of(const std::string& name, const std::string& op, const std::string& part) {
  const char separator = separator_of(name);
  std::vector<std::string> parts = split(name, separator);
  if (parts.size() > 1 && parts.back().starts_with(op)) parts.pop_back();
  // A number at the very end counts ops of one kind ("mlp.0"), not layers.
  std::size_t last = parts.size() - 1;
  while (separator == '.' && last > 0 && is_number(parts[last])) --last;
  for (std::size_t i = last; i-- > 0;) {
    if (is_numbered(parts[i], separator) && !counts_steps(parts, i, separator))
      return {join(parts, 0, i + 1, separator), join(parts, i + 1, parts.size(), separator)};
  }
  std::string kind = join(parts, 0, parts.size(), separator);
  if (kind.starts_with('/')) kind.erase(0, 1);
  return {part, kind.empty() ? op : kind};
}

SensitivityReport make_skeleton(const Program& program, const std::vector<bool>& selected,
                                const SensitivityOptions& options) {
  SensitivityReport report;
  report.model = program.model_name;
  report.data = options.data.filename().empty() ? options.data.parent_path().filename().string()
                                                : options.data.filename().string();
  report.samples = static_cast<std::int64_t>(program.samples.size());
  report.has_logits = program.has_logits;
  report.output = program.parts.back()->output();
  report.criterion = options.criterion;
  std::string directions = options.direction_in ? "in" : "";
  if (options.direction_out) directions += directions.empty() ? "out" : ", out";
  report.settings = {{"formats", fmt::format("{}", fmt::join(options.formats, ", "))},
                     {"calibrate", options.calibrate},
                     {"units", options.units},
                     {"method", to_string(options.method)},
                     {"directions", directions},
                     {"criterion", to_string(options.criterion)},
                     {"attention", options.fused_attention ? "fused" : "as in the graph"},
                     {"qvl", QVL_VERSION},
                     {"onnxruntime", runtime_version()}};
  if (program.parts.back()->graph.outputs().size() > 1) report.settings.emplace_back("output", report.output);
  std::string branches;
  for (const FixedBranch& fixed : program.fixed) {
    branches += fmt::format("{}{} of the If that gives {}", branches.empty() ? "" : ", ",
                            fixed.taken ? "then_branch" : "else_branch", fixed.output);
  }
  if (!branches.empty()) report.settings.emplace_back("taken in all samples", branches);
  for (const auto& part : program.parts) {
    std::ranges::move(units_of_bodies(part->graph, part->units), std::back_inserter(report.unmeasured));
    const std::vector<bool> seen = ancestors_of(part->graph, {part->output()}, true);
    for (std::size_t block = 0; block < part->cut.segments.size(); ++block) {
      for (const std::size_t local : part->cut.segments[block].units) {
        if (!selected[part->first_unit + local]) continue;
        const Unit& unit = part->units[local];
        UnitPlace place = place_of(unit.name, unit.op, part->name);
        report.units.push_back({unit.name,
                                unit.op,
                                unit.weight,
                                unit.layout.depth,
                                unit.layout.rows * unit.layout.matrices,
                                static_cast<std::int64_t>(unit.layout.elements()),
                                part->name,
                                static_cast<std::int64_t>(block),
                                std::move(place.layer),
                                std::move(place.kind),
                                !seen[unit.node],
                                part->in_body.contains(unit.name),
                                {}});
      }
    }
  }
  return report;
}

}  // namespace qvl

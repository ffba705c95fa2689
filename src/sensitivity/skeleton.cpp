#include "sensitivity/skeleton.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "qvl/version.h"
#include "runtime/library.h"
#include "sensitivity/run_settings.h"

namespace qvl {
namespace {

std::vector<std::string> split(const std::string& name) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= name.size()) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    parts.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// "layers.3", "3"
bool is_numbered(const std::string& part) {
  const std::size_t dot = part.rfind('.');
  const std::string number = dot == std::string::npos ? part : part.substr(dot + 1);
  return !number.empty() && std::ranges::all_of(number, [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::string join(const std::vector<std::string>& parts, std::size_t begin, std::size_t end) {
  std::string text;
  for (std::size_t i = begin; i < end; ++i) text += (i == begin ? "" : "/") + parts[i];
  return text;
}

}  // namespace

UnitPlace place_of(const std::string& name, const std::string& op, const std::string& part) {
  std::vector<std::string> parts = split(name);
  if (parts.size() > 1 && parts.back().starts_with(op)) parts.pop_back();
  // A number at the very end counts ops of one kind ("mlp.0"), not layers.
  for (std::size_t i = parts.size() - 1; i-- > 0;) {
    if (is_numbered(parts[i])) return {join(parts, 0, i + 1), join(parts, i + 1, parts.size())};
  }
  std::string kind = join(parts, 0, parts.size());
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
  for (const auto& part : program.parts) {
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
                                {}});
      }
    }
  }
  return report;
}

}  // namespace qvl

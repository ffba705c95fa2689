#include "planner/plan_units.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "qvl/error.h"

namespace qvl {
namespace {

// Groups of one part that grow together as units turn out to belong to both.
class Ties {
 public:
  explicit Ties(std::size_t units) : leader_(units) {
    for (std::size_t i = 0; i < units; ++i) leader_[i] = i;
  }
  [[nodiscard]] std::size_t leader(std::size_t unit) const {
    while (leader_[unit] != unit) unit = leader_[unit];
    return unit;
  }
  void tie(std::size_t a, std::size_t b) {
    a = leader(a);
    b = leader(b);
    leader_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::size_t> leader_;
};

}  // namespace

std::uint64_t PlanUnit::bytes(const std::optional<Format>& format) const {
  if (!format) return size.kept_bytes;
  const auto found = std::ranges::find(formats, *format);
  if (found == formats.end()) throw UsageError("the bytes of a unit in " + to_string(*format) + ", unknown");
  return size.quantized_bytes[static_cast<std::size_t>(found - formats.begin())];
}

std::uint64_t PlanUnit::parameters() const {
  return size.shared || size.repeated ? 0 : weight.layout.elements();
}

std::vector<UnitGroup> group_units(const Program& program, const std::vector<bool>& selected,
                                   const std::vector<std::size_t>& row_of, std::span<const Format> formats) {
  std::vector<UnitGroup> groups;
  for (const auto& part : program.parts) {
    const std::vector<StoredSize> sizes = stored_sizes(*part, selected, formats);
    Ties ties(part->units.size());
    std::map<std::pair<std::string, std::string>, std::size_t> first;  // what they share -> a unit
    std::map<std::size_t, std::size_t> group_of;                       // leader -> group
    for (std::size_t local = 0; local < part->units.size(); ++local) {
      if (!selected[part->first_unit + local]) continue;
      const Unit& unit = part->units[local];
      ties.tie(local, first.try_emplace({"input", unit.input}, local).first->second);
      for (const std::string* const value : {&unit.weight, &unit.source})
        ties.tie(local, first.try_emplace({"weight", *value}, local).first->second);
    }
    for (std::size_t local = 0; local < part->units.size(); ++local) {
      const std::size_t unit = part->first_unit + local;
      if (!selected[unit]) continue;
      const auto [group, is_new] = group_of.try_emplace(ties.leader(local), groups.size());
      if (is_new) groups.emplace_back();
      const Unit& info = part->units[local];
      groups[group->second].push_back(
          {unit, row_of[unit], {info.op, info.layout}, sizes[local], {formats.begin(), formats.end()}});
    }
  }
  return groups;
}

}  // namespace qvl

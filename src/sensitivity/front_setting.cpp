#include "sensitivity/front_setting.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/json_text.h"
#include "core/sha256.h"
#include "qvl/error.h"

namespace qvl {
namespace {

std::string name_of(const RunSettings& settings) { return "front of " + sha256_of(settings.to_json()); }

Json json_of(const PlanPoint& point) { return {point.bytes, point.bits, point.error}; }

PlanPoint point_of(const Json& json) {
  return {json.at(0).get<std::uint64_t>(), json.at(1).get<double>(), json.at(2).get<double>()};
}

PlanFront parse_front(const std::string& text) {
  const Json json = parse_json(text, "the curve of error against size");
  try {
    PlanFront front;
    json.at("unquantized_bytes").get_to(front.unquantized_bytes);
    for (const Json& point : json.at("points")) front.points.push_back(point_of(point));
    for (const Json& mark : json.at("marks")) {
      front.marks.push_back({mark.at("name").get<std::string>(), point_of(mark.at("point")), std::nullopt});
      if (!mark.at("measured").is_null()) front.marks.back().measured = mark.at("measured").get<double>();
    }
    return front;
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("the stored curve of error against size is broken: {}", error.what()));
  }
}

bool is_same(const PlanPoint& a, const PlanPoint& b) { return a.bytes == b.bytes && a.error == b.error; }

// What was measured stays: a plan that was only predicted takes the place of one that was not measured
// either.
void put(std::vector<PlanMark>& marks, PlanMark mark) {
  const auto find = [&] { return std::ranges::find(marks, mark.name, &PlanMark::name); };
  auto same = find();
  if (same != marks.end() && same->measured && !mark.measured) {
    if (is_same(same->point, mark.point)) return;
    mark.name += " not measured";
    same = find();
  }
  if (same != marks.end()) {
    *same = std::move(mark);
  } else {
    marks.push_back(std::move(mark));
  }
}

}  // namespace

std::optional<PlanFront> stored_front(const RunSettings& settings, const MeasurementStore& store) {
  const auto text = store.setting(name_of(settings));
  if (!text) return std::nullopt;
  return parse_front(*text);
}

void store_front(const RunSettings& settings, MeasurementStore& store, const PlanFront& front) {
  PlanFront all = front;
  if (const auto before = stored_front(settings, store)) {
    all.marks = before->marks;
    for (const PlanMark& mark : front.marks) put(all.marks, mark);
  }
  replace_front(settings, store, all);
}

void replace_front(const RunSettings& settings, MeasurementStore& store, const PlanFront& front) {
  PlanFront all = front;
  std::ranges::stable_sort(all.marks, {}, [](const PlanMark& mark) { return mark.point.bytes; });
  Json json;
  json["unquantized_bytes"] = all.unquantized_bytes;
  json["points"] = Json::array();
  for (const PlanPoint& point : all.points) json["points"].push_back(json_of(point));
  json["marks"] = Json::array();
  for (const PlanMark& mark : all.marks) {
    json["marks"].push_back({{"name", mark.name},
                             {"point", json_of(mark.point)},
                             {"measured", mark.measured ? Json(*mark.measured) : Json()}});
  }
  store.set_setting(name_of(settings), json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace qvl

#include "planner/plan_marks.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "core/output_file.h"
#include "core/text_file.h"
#include "quant/quant_plan.h"
#include "qvl/plan.h"
#include "sensitivity/fill_report.h"
#include "sensitivity/front_setting.h"
#include "sensitivity/report/report_files.h"
#include "sensitivity/run_context.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

MeasurementStore open_store(const fs::path& report) {
  const fs::path place = store_in(report);
  const MeasuredModel model = MeasurementStore::model_of(place);
  return {place, model.sha256, model.name};
}

std::string names_of(const std::vector<PlanMark>& marks) {
  std::string names;
  for (const PlanMark& mark : marks) names += (names.empty() ? "" : ", ") + mark.name;
  return names.empty() ? "there is none" : "there are: " + names;
}

}  // namespace

fs::path store_in(const fs::path& report) {
  fs::path place = store_of(report);
  if (std::error_code error; fs::exists(place, error)) return place;
  throw InputError(fmt::format("{} has no {}; the report folder of a run of qvl sensitivity is expected",
                               report.string(), place.filename().string()));
}

void require_plan_place(const fs::path& place) {
  (void)output_place(place);
  std::error_code error;
  if (!fs::exists(place, error) || fs::file_size(place, error) == 0) return;
  try {
    (void)QuantPlan::parse(read_text_file(place), place.string());
  } catch (const InputError&) {
    throw InputError(
        fmt::format("{} is there and is no plan; choose another name, or remove it first", place.string()));
  }
}

std::vector<PlanMark> plan_marks(const fs::path& report) {
  const MeasurementStore store = open_store(report);
  const auto front = stored_front(settings_in(store, report), store);
  return front ? front->marks : std::vector<PlanMark>{};
}

std::vector<PlanMark> remove_plan_marks(const fs::path& report, const std::vector<std::string>& names) {
  MeasurementStore store = open_store(report);
  const RunSettings settings = settings_in(store, report);
  auto front = stored_front(settings, store);
  std::vector<PlanMark> marks = front ? front->marks : std::vector<PlanMark>{};
  for (const std::string& name : names) {
    const auto found = std::ranges::find(marks, name, &PlanMark::name);
    if (found == marks.end())
      throw UsageError(fmt::format("{} has no plan called {}; {}", report.string(), name, names_of(marks)));
    marks.erase(found);
  }
  if (!front || names.empty()) return marks;
  front->marks = marks;
  replace_front(settings, store, *front);
  store.flush();
  write_reports(fill_report(settings, store, report.string()), report);
  return marks;
}

}  // namespace qvl

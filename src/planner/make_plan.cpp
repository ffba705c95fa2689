// make_plan: from a report folder to plan.json.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "core/output_file.h"
#include "planner/plan_document.h"
#include "planner/plan_loop.h"
#include "planner/plan_marks.h"
#include "planner/plan_problem.h"
#include "planner/plan_request.h"
#include "planner/unit_errors.h"
#include "qvl/plan.h"
#include "sensitivity/fill_report.h"
#include "sensitivity/front_setting.h"
#include "sensitivity/report/report_files.h"
#include "sensitivity/run_context.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

struct FinishedRun {
  RunSettings settings;
  SensitivityOptions origin;
};

// What the folder's store says; it is closed again.
FinishedRun finished_run(const PlanOptions& options) {
  const fs::path place = store_in(options.report);
  const MeasuredModel model = MeasurementStore::model_of(place);
  const MeasurementStore store(place, model.sha256, model.name);
  FinishedRun run{settings_in(store, options.report), {}};
  (void)fill_report(run.settings, store, options.report.string());  // throws when something is missing
  run.origin = origin_in(store, options.report);
  if (!options.model.empty()) run.origin.model = options.model;
  if (!options.data.empty()) run.origin.data = options.data;
  run.origin.memory_bytes = options.memory_bytes;
  run.origin.threads = options.threads;
  run.origin.on_progress = options.on_progress;
  run.origin.cancel = options.cancel;
  run.origin.input = options.input;
  return run;
}

class Planning {
 public:
  explicit Planning(const PlanOptions& options) : Planning(options, finished_run(options)) {}
  PlanResult run();

 private:
  Planning(const PlanOptions& options, FinishedRun finished)
      : options_(options), finished_(std::move(finished)), context_(finished_.origin) {}

  void check_run() const;
  void choose_formats();
  [[nodiscard]] std::vector<std::vector<double>> errors_of(const std::vector<Format>& formats) const;
  void find_plannable();
  void make_problem();
  void add_front();
  [[nodiscard]] std::vector<OutputError> measure(std::span<const PlanChoices> plans,
                                                 const std::string& stage);
  void recall(PlanLoop::Result& planned);
  void describe(const PlanLoop::Result& planned);

  const PlanOptions& options_;
  FinishedRun finished_;
  RunContext context_;
  SensitivityReport report_;
  std::vector<bool> plannable_;  // by unit: those that quantize can write
  std::vector<Format> formats_;  // that the plan may use; of the context's
  std::vector<UnitGroup> groups_;
  std::optional<PlanProblem> problem_;
  PlanResult result_;
  bool ready_ = false;  // the unquantized model was run
};

void Planning::check_run() const {
  const auto refuse = [&](const std::string& what) {
    throw InputError(fmt::format(
        "{} is not what {} was measured with; the same `qvl sensitivity` again measures what is new", what,
        options_.report.string()));
  };
  if (context_.settings.samples != finished_.settings.samples) refuse(context_.options.data.string());
  if (context_.settings.unit_set != finished_.settings.unit_set ||
      context_.settings.parts != finished_.settings.parts)
    refuse(context_.options.model.string());
  if (!options_.output.empty() && options_.output != finished_.settings.output) {
    throw UsageError(
        fmt::format("{} was measured by the output {}; `qvl sensitivity --output {}` measures by it",
                    options_.report.string(), finished_.settings.output, options_.output));
  }
}

// All that were measured, or those asked for, in the order of the run.
void Planning::choose_formats() {
  for (const std::string& name : options_.formats) {
    const Format format = parse_format(name);
    if (std::ranges::find(context_.formats, format) != context_.formats.end()) continue;
    throw UsageError(fmt::format("format {} was not measured in {}; there are: {}", name,
                                 options_.report.string(), fmt::join(finished_.settings.formats, ", ")));
  }
  for (const Format& format : context_.formats) {
    const auto wanted = [&](const std::string& name) { return parse_format(name) == format; };
    if (options_.formats.empty() || std::ranges::any_of(options_.formats, wanted)) formats_.push_back(format);
  }
}

std::vector<std::vector<double>> Planning::errors_of(const std::vector<Format>& formats) const {
  const std::vector<std::vector<double>> all = unit_errors(report_);
  std::vector<std::vector<double>> errors(all.size());
  for (std::size_t row = 0; row < all.size(); ++row) {
    for (const Format& format : formats) {
      const auto at =
          std::ranges::find(report_.units[row].formats, to_string(format), &FormatResult::format) -
          report_.units[row].formats.begin();
      errors[row].push_back(all[row].at(static_cast<std::size_t>(at)));
    }
  }
  return errors;
}

// Branches that samples fix are measured; other inputs may take the other one.
void Planning::find_plannable() {
  plannable_ = context_.selected;
  for (std::size_t unit = 0; unit < plannable_.size(); ++unit) {
    const ModelPart& part = context_.program->part_of(unit);
    plannable_[unit] = plannable_[unit] && !part.in_body.contains(context_.program->unit(unit).name);
  }
  if (std::ranges::find(plannable_, true) == plannable_.end()) {
    throw InputError(
        fmt::format("{}: all units that were measured lie in branches of If nodes, which are never "
                    "quantized: there is nothing to plan",
                    options_.report.string()));
  }
}

void Planning::make_problem() {
  std::optional<KernelTimes> times;
  if (options_.budget.latency_ms) {
    if (options_.latency_rows < 1)
      throw UsageError(fmt::format("kernels for {} rows; 1 and more are expected", options_.latency_rows));
    if (options_.on_progress) options_.on_progress({"kernels timed", 0, 0});
    times.emplace(*context_.store, options_.latency_rows, options_.threads, options_.cancel);
  }
  groups_ = group_units(*context_.program, plannable_, context_.row_of, context_.formats);
  problem_.emplace(groups_, formats_, errors_of(formats_), times ? &*times : nullptr);
}

std::vector<OutputError> Planning::measure(std::span<const PlanChoices> plans, const std::string& stage) {
  std::vector<NamedAssignment> assignments;
  bool all_known = true;
  for (const PlanChoices& plan : plans) {
    assignments.push_back({problem_->key(plan, *context_.program, context_.settings.calibration),
                           problem_->assignment(plan, context_.program->unit_count())});
    all_known = all_known && context_.experiment->has(assignments.back());
  }
  if (!all_known && !ready_) {
    context_.run_plain();
    ready_ = true;
  }
  return context_.experiment->measure_assignments(assignments, stage);
}

// What was measured of this plan before.
void Planning::recall(PlanLoop::Result& planned) {
  const NamedAssignment assignment{
      problem_->key(planned.choices, *context_.program, context_.settings.calibration),
      problem_->assignment(planned.choices, context_.program->unit_count())};
  if (!context_.experiment->has(assignment)) return;
  planned.measured = context_.experiment->measure_assignments(std::array{assignment}, "").front();
  planned.rounds.back().change = "first plan, measured before";
  planned.rounds.back().measured = PlanLoop::error_of(*planned.measured);
}

// The curve is of all formats that were measured, whatever this plan may use.
void Planning::add_front() {
  const PlanProblem all(groups_, context_.formats, errors_of(context_.formats), nullptr);
  PlanFront& front = result_.front;
  front.unquantized_bytes = all.unquantized_bytes();
  for (const KnapsackPoint& point : knapsack_front(all.knapsack()))
    front.points.push_back({point.bytes, all.bits(point.bytes), point.error});
  std::string name = budget_name(options_.budget);
  if (!options_.formats.empty()) name += fmt::format(" formats={}", fmt::join(options_.formats, ","));
  front.marks.push_back({name, {result_.bytes, result_.bits, result_.predicted}, result_.measured});
}

void Planning::describe(const PlanLoop::Result& planned) {
  result_.rounds = planned.rounds;
  result_.unmeasured = report_.unmeasured;
  result_.output = report_.output;
  for (std::size_t g = 0; g < planned.choices.size(); ++g) {
    for (const PlanUnit& unit : problem_->groups()[g]) {
      const UnitResult& row = report_.units[unit.row];
      if (row.unseen && problem_->format(planned.choices[g]) != nullptr) result_.unseen.push_back(row.name);
    }
  }
  result_.gap = planned.gap;
  double latency = 0;
  for (std::size_t choice = 0; choice <= formats_.size(); ++choice) {
    PlanShare share;
    const Format* const format = problem_->format(choice);
    share.format = format == nullptr ? "keep" : to_string(*format);
    for (std::size_t g = 0; g < planned.choices.size(); ++g) {
      if (planned.choices[g] != choice) continue;
      const KnapsackChoice& cost = problem_->knapsack()[g][choice];
      share.units += static_cast<int>(problem_->groups()[g].size());
      share.bytes += cost.bytes;
      share.error += cost.error;
      latency += cost.latency_ms;
    }
    result_.bytes += share.bytes;
    result_.predicted += share.error;
    if (format != nullptr) result_.quantized_units += share.units;
    if (share.units > 0) result_.shares.push_back(std::move(share));
  }
  result_.bits = problem_->bits(result_.bytes);
  if (options_.budget.latency_ms) result_.latency_ms = latency;
  if (!planned.measured) return;
  result_.measured = PlanLoop::error_of(*planned.measured);
  result_.measured_stderr = planned.measured->kl_stderr;
}

PlanResult Planning::run() {
  check_run();
  choose_formats();
  report_ = fill_report(finished_.settings, *context_.store, options_.report.string());
  const bool is_baseline = !is_measured(report_.criterion);
  if (is_baseline && options_.budget.kl) {
    throw UsageError(
        fmt::format("{} has scores of {}, which do not add up to a kl; a budget of bytes or bits is "
                    "expected",
                    options_.report.string(), to_string(report_.criterion)));
  }
  find_plannable();
  make_problem();
  std::vector<int> units;
  for (const UnitGroup& group : problem_->groups()) units.push_back(static_cast<int>(group.size()));
  PlanLoop::Measure measured;
  if (options_.measure) {
    measured = [this](std::span<const PlanChoices> plans, const std::string& stage) {
      return measure(plans, stage);
    };
  }
  const KnapsackLimits limits = limits_of(options_.budget, *problem_);
  std::vector<PlanCandidate> others = uniform_plans(*problem_, formats_);
  if (!is_baseline)
    std::ranges::move(plan_by_weights(*problem_, formats_, report_, limits), std::back_inserter(others));
  PlanLoop loop(problem_->knapsack(), units, limits, std::move(measured));
  PlanLoop::Result planned =
      loop.run(is_baseline ? 0 : options_.rounds, others, [&](const KnapsackSolution& nearest) {
        return describe_infeasible(options_.budget, *problem_, nearest);
      });
  if (!options_.measure) recall(planned);
  describe(planned);
  add_front();
  if (!is_baseline) {
    store_front(finished_.settings, *context_.store, result_.front);
    context_.store->flush();
    report_ = fill_report(finished_.settings, *context_.store, options_.report.string());
    result_.front = *report_.front;
    write_reports(report_, options_.report);
  }
  result_.plan_json =
      plan_document(*problem_, planned.choices, report_, result_, options_, context_.options.calibrate);
  if (!options_.out.empty()) write_file(options_.out, result_.plan_json);
  return std::move(result_);
}

}  // namespace

PlanResult make_plan(const PlanOptions& options) {
  check_budget(options.budget);
  if (options.rounds < 0) throw UsageError(fmt::format("{} rounds; 0 and more are expected", options.rounds));
  if (!options.out.empty()) require_plan_place(options.out);
  return Planning(options).run();
}

}  // namespace qvl

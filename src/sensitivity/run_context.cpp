#include "sensitivity/run_context.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "core/json_text.h"
#include "core/output_folder.h"
#include "quant/range_calibrator.h"
#include "replay/model_hash.h"
#include "replay/open_program.h"
#include "sensitivity/baselines.h"
#include "sensitivity/report/report_files.h"
#include "sensitivity/skeleton.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStoreName = "measurements.sqlite";
constexpr const char* kSettingsName = "run";
constexpr const char* kOriginName = "origin";

std::string hash_of_model(const SensitivityOptions& options, const Program& program) {
  std::vector<fs::path> files;
  for (const auto& part : program.parts) {
    const auto own = part->graph.files();
    files.insert(files.end(), own.begin(), own.end());
  }
  return model_hash(std::move(files), fs::is_directory(options.model) ? options.model : fs::path(), {},
                    options.threads, options.cancel);
}

std::vector<bool> select_units(const Program& program, const std::string& pattern) {
  std::vector<bool> selected(program.unit_count());
  std::string first;
  for (std::size_t unit = 0; unit < selected.size(); ++unit) {
    if (first.empty()) first = program.unit(unit).name;
    selected[unit] = matches(pattern, program.unit(unit).name);
  }
  if (std::ranges::none_of(selected, [](bool s) { return s; })) {
    throw UsageError(
        fmt::format("no unit is called {}; there are {}, the first is {}", pattern, selected.size(), first));
  }
  return selected;
}

}  // namespace

RunContext::RunContext(SensitivityOptions given) : options(std::move(given)) {
  std::string list;
  for (const std::string& format : options.formats) list += (list.empty() ? "" : ",") + format;
  formats = parse_formats(list);
  calibration = parse_calibration(options.calibrate);
  program = open_program(options.model, options.data, options.samples, options.cancel, options.input,
                         options.output);
  (void)program->parts.back()->output();
  selected = select_units(*program, options.units);
  if (options.criterion == Criterion::kl && !program->has_logits) options.criterion = Criterion::mse;
  make_settings();
  make_output_folder(options.report);
  store = std::make_unique<MeasurementStore>(store_of(options.report), skeleton.model_sha256, skeleton.model);
  experiment = std::make_unique<Experiment>(*program, *store, formats, selected, keys, options);
}

void RunContext::make_settings() {
  skeleton = make_skeleton(*program, selected, options);
  for (const Sample& sample : program->samples) settings.samples.push_back(sample.sha256);
  skeleton.model_sha256 = hash_of_model(options, *program);
  skeleton.data_sha256 = hash_of_lines(settings.samples);
  for (const Format& format : formats) settings.formats.push_back(to_string(format));
  for (const auto& part : program->parts)
    settings.parts.push_back({part->name, static_cast<std::int64_t>(part->cut.segments.size())});
  settings.method = options.method;
  settings.direction_in = options.direction_in;
  settings.direction_out = options.direction_out;
  settings.criterion = options.criterion;
  settings.fused_attention = options.fused_attention;
  const ComparedOutputs& compared = program->parts.back()->compared;
  settings.output = compared.metric;
  settings.others = compared.others;
  settings.outputs_context = compared.context;
  settings.calibration = to_string(calibration) + " of " + skeleton.data_sha256;
  std::vector<std::string> names;
  row_of.assign(selected.size(), 0);
  std::unordered_map<std::string, std::size_t> rows;
  for (const UnitResult& unit : skeleton.units) {
    rows.emplace(unit.name, names.size());
    names.push_back(unit.name);
  }
  for (std::size_t unit = 0; unit < selected.size(); ++unit) {
    if (selected[unit]) row_of[unit] = rows.at(program->unit(unit).name);
  }
  settings.unit_set = hash_of_lines(names);
  settings.skeleton = report_json(skeleton);
  keys = settings.keys();
}

// The unquantized model, and with it what is learned from its activations.
void RunContext::run_plain() {
  const bool variance = options.criterion == Criterion::nncf_mean_variance;
  const bool ranges = std::ranges::any_of(
      formats, [](const Format& f) { return f.activations == ActivationRounding::static_u8; });
  std::vector<RangeCalibrator> calibrators;
  if (ranges) calibrators.assign(selected.size(), RangeCalibrator(calibration));
  const auto observe = [&](std::size_t unit, std::size_t sample, const TensorView& input) {
    if (!selected[unit] || input.dtype != DType::f32) return;
    const std::span<const float> values(reinterpret_cast<const float*>(input.bytes.data()),
                                        input.bytes.size() / sizeof(float));
    if (ranges) calibrators[unit].observe(values);
    if (!variance) return;
    const MeasurementKey key{program->samples[sample].sha256, program->unit(unit).name, "", "input variance",
                             ""};
    const std::vector<double> number{mean_variance(input)};
    if (!store->has(key)) store->put(key, number);
  };
  experiment->run_plain(ranges || variance ? ObserveInput(observe) : ObserveInput());
  if (!ranges) return;
  StaticRanges found;
  for (std::size_t unit = 0; unit < selected.size(); ++unit) {
    if (selected[unit] && calibrators[unit].count() == 0) {
      throw InputError(
          fmt::format("no sample gives unit {} a finite number: there is no range for int8-static",
                      program->unit(unit).name));
    }
    found.push_back(selected[unit] ? AffineU8::of_range(calibrators[unit].range()) : AffineU8{});
  }
  experiment->set_ranges(std::move(found));
}

fs::path store_of(const fs::path& report) { return report / kStoreName; }

RunSettings settings_in(const MeasurementStore& store, const fs::path& report) {
  const std::string place = store_of(report).string();
  const auto text = store.setting(kSettingsName);
  if (!text) throw InputError(fmt::format("{} holds no run of qvl sensitivity", place));
  return RunSettings::parse(*text, place);
}

void keep_settings(MeasurementStore& store, const RunSettings& settings) {
  store.set_setting(kSettingsName, settings.to_json());
}

void keep_origin(MeasurementStore& store, const SensitivityOptions& options) {
  Json json;
  json["model"] = fs::absolute(options.model).lexically_normal().string();
  json["data"] = fs::absolute(options.data).lexically_normal().string();
  json["formats"] = options.formats;
  json["calibrate"] = options.calibrate;
  json["units"] = options.units;
  json["samples"] = options.samples;
  json["output"] = options.output;
  json["fused_attention"] = options.fused_attention;
  json["method"] = to_string(options.method);
  json["in"] = options.direction_in;
  json["out"] = options.direction_out;
  json["criterion"] = to_string(options.criterion);
  store.set_setting(kOriginName, json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void copy_origin(const MeasurementStore& from, MeasurementStore& to) {
  if (const auto text = from.setting(kOriginName)) to.set_setting(kOriginName, *text);
}

std::optional<SensitivityOptions> measured_run(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_regular_file(store_of(folder), error)) return std::nullopt;
  const MeasuredModel model = MeasurementStore::model_of(store_of(folder));
  const MeasurementStore store(store_of(folder), model.sha256, model.name);
  return origin_in(store, folder);
}

SensitivityOptions origin_in(const MeasurementStore& store, const fs::path& report) {
  const std::string place = store_of(report).string();
  const auto text = store.setting(kOriginName);
  if (!text) {
    throw InputError(
        fmt::format("{} does not say what was measured; the same `qvl sensitivity` again, which measures "
                    "nothing anew, notes it",
                    place));
  }
  const Json json = parse_json(*text, place);
  SensitivityOptions options;
  options.report = report;
  try {
    options.model = json.at("model").get<std::string>();
    options.data = json.at("data").get<std::string>();
    json.at("formats").get_to(options.formats);
    json.at("calibrate").get_to(options.calibrate);
    json.at("units").get_to(options.units);
    json.at("samples").get_to(options.samples);
    options.output = json.value("output", "");
    json.at("fused_attention").get_to(options.fused_attention);
    options.method = parse_method(json.at("method").get<std::string>());
    json.at("in").get_to(options.direction_in);
    json.at("out").get_to(options.direction_out);
    options.criterion = parse_criterion(json.at("criterion").get<std::string>());
    return options;
  } catch (const UsageError& error) {  // a method or criterion that there is not
    throw InputError(fmt::format("{}: the options of the run are broken: {}", place, error.what()));
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("{}: the options of the run are broken: {}", place, error.what()));
  }
}

}  // namespace qvl

#include "cli/bench_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/machine_info.h"
#include "cli/bench_table.h"
#include "cli/progress_bar.h"
#include "folder/artifact_names.h"
#include "qvl/version.h"

namespace qvl::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;

template <class T>
OrderedJson optional_json(const std::optional<T>& value) {
  return value ? OrderedJson(*value) : OrderedJson(nullptr);
}

OrderedJson samples_json(const Samples& samples) {
  return {{"median", samples.median()},
          {"min", samples.min()},
          {"max", samples.max()},
          {"spread", samples.spread()},
          {"values", samples.values()}};
}

OrderedJson memory_json(const MemoryUse& use) {
  return {{"resident_bytes", optional_json(use.resident)},
          {"rss_anon_bytes", optional_json(use.anonymous)},
          {"rss_file_bytes", optional_json(use.file)}};
}

// One limit of the machine: how it is called, and the figure.
struct Limit {
  const char* label;
  const char* key;
  const char* unit;
  double MachineLimits::* value;
};

constexpr std::array kLimits{
    Limit{"disk write, through the cache", "disk_buffered_bytes_per_s", "B",
          &MachineLimits::disk_buffered_bytes},
    Limit{"disk write, O_DIRECT", "disk_direct_bytes_per_s", "B", &MachineLimits::disk_direct_bytes},
    Limit{"memory read", "memory_read_bytes_per_s", "B", &MachineLimits::memory_read_bytes},
    Limit{"memory copy, read + written", "memory_copy_bytes_per_s", "B", &MachineLimits::memory_copy_bytes},
    Limit{"f32 arithmetic", "f32_flop_per_s", "FLOP", &MachineLimits::f32_flop}};

// What all reports begin and end with.
class Report {
 public:
  Report(const std::string& bench, const RunOptions& runs, const MeasuredLimits& limits) : limits_(limits) {
    const MachineInfo machine = machine_info();
    json_ = {{"bench", bench},
             {"qvl", QVL_VERSION},
             {"machine",
              {{"processor", machine.processor},
               {"processors", machine.processors},
               {"instructions", machine.instructions},
               {"memory_bytes", machine.memory_bytes},
               {"system", machine.system}}},
             {"warm_up", runs.warm_up},
             {"runs", runs.runs}};
    line(fmt::format("qvl {} bench {}, {} runs after {} to warm up", QVL_VERSION, bench, runs.runs,
                     runs.warm_up));
    line(fmt::format("{}{}{} processors ({}), {} of memory, {}", machine.processor,
                     machine.processor.empty() ? "" : ", ", machine.processors, machine.instructions,
                     human_bytes(machine.memory_bytes), machine.system));
  }

  [[nodiscard]] OrderedJson& json() noexcept { return json_; }
  void line(const std::string& text) { lines_ += "- " + text + "\n"; }

  void print(const BenchTable& table, ReportFormat format) {
    OrderedJson limits = OrderedJson::object();
    BenchTable limit_table({"limit of the machine", "before", "after"});
    bool measured = false;
    for (const Limit& limit : kLimits) {
      const double before = limits_.before.*limit.value;
      const double after = limits_.after.*limit.value;
      if (before == 0 && after == 0) continue;
      measured = true;
      limits[limit.key] = {{"before", before}, {"after", after}};
      limit_table.add({limit.label, rate_text(before, limit.unit), rate_text(after, limit.unit)});
    }
    json_["limits"] = limits;
    if (format == ReportFormat::json) {
      std::cout << json_.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) << "\n";
      return;
    }
    std::cout << lines_ << "\n" << table.text();
    if (measured) std::cout << "\n" << limit_table.text();
  }

 private:
  const MeasuredLimits& limits_;
  OrderedJson json_;
  std::string lines_;
};

// NAME, median, min, max, spread
std::vector<std::string> time_cells(const std::string& name, const Samples& seconds) {
  return {name, time_text(seconds.median()), time_text(seconds.min()), time_text(seconds.max()),
          spread_text(seconds.spread())};
}

void append(std::vector<std::string>& row, std::initializer_list<std::string> cells) {
  row.insert(row.end(), cells);
}

double per_second(double amount, const Samples& seconds) {
  return seconds.median() > 0 ? amount / seconds.median() : 0;
}

const char* optimization_name(GraphOptimization optimization) {
  switch (optimization) {
    case GraphOptimization::none:
      return "none";
    case GraphOptimization::basic:
      return "basic";
    case GraphOptimization::extended:
      return "extended";
    case GraphOptimization::all:
      break;
  }
  return "all";
}

void describe_session(const ModelBenchOptions& options, const ModelBenchResult& result, Report& report) {
  const SessionOptions& session = options.session;
  std::string text = fmt::format(
      "ONNX Runtime {}, {}, {} threads, optimization {}, arena {}, memory pattern {}", result.runtime_version,
      result.provider, result.threads, optimization_name(session.optimization),
      session.memory_arena ? "on" : "off", session.memory_pattern ? "on" : "off");
  OrderedJson config = OrderedJson::object();
  for (const auto& [key, value] : session.config) {
    text += fmt::format(", {}={}", key, value);
    config[key] = value;
  }
  report.line(text);
  report.json()["onnx_runtime"] = {{"version", result.runtime_version},
                                   {"provider", result.provider},
                                   {"threads", result.threads},
                                   {"optimization", optimization_name(session.optimization)},
                                   {"memory_arena", session.memory_arena},
                                   {"memory_pattern", session.memory_pattern},
                                   {"config", config}};
}

std::string sequence_name(std::int64_t tokens, bool vision) {
  return fmt::format("{} {}token{}", tokens, vision ? "image " : "", tokens == 1 ? "" : "s");
}

// "22.65 GFLOP/s, 35%"
std::string rate_and_share(double rate, const std::string& unit, double limit) {
  const std::string text = rate_text(rate, unit);
  return limit > 0 ? fmt::format("{}, {}", text, share_text(share_of(rate, limit))) : text;
}

std::string bound_by(const ModelRow& row, const MachineLimits& limits) {
  if (limits.f32_flop <= 0 || limits.memory_read_bytes <= 0) return "n/a";
  return row.bound_by_arithmetic(limits) ? "arithmetic" : "memory";
}

OrderedJson row_json(const ModelRow& row, const MachineLimits& limits) {
  return {{"tokens", row.tokens},
          {"seconds", samples_json(row.seconds)},
          {"tokens_per_s", per_second(static_cast<double>(row.tokens), row.seconds)},
          {"linear_flop", row.work.linear_flop},
          {"attention_flop", row.work.attention_flop},
          {"flop_per_s", row.flop_per_second()},
          {"weight_bytes", row.work.weight_bytes},
          {"weight_bytes_per_s", row.weight_bytes_per_second()},
          {"share_of_arithmetic", share_of(row.flop_per_second(), limits.f32_flop)},
          {"share_of_memory", share_of(row.weight_bytes_per_second(), limits.memory_read_bytes)},
          {"bound_by", bound_by(row, limits)},
          {"memory", memory_json(row.most)}};
}

}  // namespace

void report_export(const ExportBenchOptions& options, const ExportBenchResult& result, ReportFormat format) {
  Report report("export", options.runs, result.limits);
  const auto bytes = static_cast<double>(result.bytes);
  const double disk = result.limits.best().disk_write_bytes();
  const ExportOptions& exported = options.export_options;
  std::vector<std::string> artifacts;
  for (const std::string& artifact : exported.only) artifacts.push_back(artifact);
  report.line(fmt::format("{}: {}, picture {} x {}, text in {}", exported.checkpoint.string(),
                          artifacts.empty() ? "all artifacts" : fmt::format("{}", fmt::join(artifacts, ", ")),
                          exported.image_width_pixels, exported.image_height_pixels,
                          exported.text_in_f32 ? "f32" : "f16"));
  report.line(
      fmt::format("{} files, {} in {}", result.files, human_bytes(result.bytes), result.folder.string()));
  report.line(
      fmt::format("each run: `qvl export`, its files brought to the disk (not timed), then `{}` of them, "
                  "hard links once; neither waits for the disk itself",
                  result.copy_command));
  BenchTable table({"what", "median", "min", "max", "spread", "speed", "of the disk's limit", "peak memory"});
  const auto add = [&](const std::string& name, const Samples& seconds, std::uint64_t peak_bytes) {
    const double speed = per_second(bytes, seconds);
    std::vector<std::string> row = time_cells(name, seconds);
    append(row, {rate_text(speed, "B"), share_text(share_of(speed, disk)), memory_text(peak_bytes)});
    table.add(row);
    report.json()[name] = {{"seconds", samples_json(seconds)},
                           {"bytes_per_s", speed},
                           {"share_of_limit", share_of(speed, disk)},
                           {"peak_memory_bytes", peak_bytes}};
  };
  report.json()["checkpoint"] = exported.checkpoint.string();
  report.json()["folder"] = result.folder.string();
  report.json()["files"] = result.files;
  report.json()["bytes"] = result.bytes;
  report.json()["copy_command"] = result.copy_command;
  add("export", result.export_seconds, result.export_peak_bytes);
  add("cp", result.copy_seconds, result.copy_peak_bytes);
  const Samples& ratio = result.export_by_copy;
  report.json()["export_by_cp"] = samples_json(ratio);
  table.add({"export / cp, by pairs", fmt::format("{:.2f}", ratio.median()),
             fmt::format("{:.2f}", ratio.min()), fmt::format("{:.2f}", ratio.max()),
             spread_text(ratio.spread())});
  report.print(table, format);
}

void report_model(const ModelBenchOptions& options, const ModelBenchResult& result, ReportFormat format) {
  const bool vision = result.artifact == "vision";
  const MachineLimits limits = result.limits.best();
  Report report(vision ? "vision" : "text", options.runs, result.limits);
  const std::uint64_t file_bytes = result.file_bytes;
  report.line(fmt::format("{}, {} with its data", result.file.string(), human_bytes(file_bytes)));
  describe_session(options, result, report);
  BenchTable table({vision ? "picture" : "sequence", "median", "min", "max", "spread",
                    vision ? "pictures/s" : "tokens/s", "GFLOP", "arithmetic, of its limit",
                    "weights read, of the memory's", "bound by", "peak memory", "RssAnon", "RssFile"});
  constexpr std::size_t kCellsBeforeMemory = 10;
  const auto add = [&](std::vector<std::string> cells, const MemoryUse& use) {
    cells.resize(kCellsBeforeMemory);
    append(cells, {memory_text(use.resident), memory_text(use.anonymous), memory_text(use.file)});
    table.add(std::move(cells));
  };
  add({"load", time_text(result.load_seconds)}, result.load_most);
  add({"after load"}, result.after_load);
  OrderedJson rows = OrderedJson::array();
  for (const ModelRow& row : result.rows) {
    const double count = vision ? 1 : static_cast<double>(row.tokens);
    std::vector<std::string> cells = time_cells(sequence_name(row.tokens, vision), row.seconds);
    append(cells, {count_text(per_second(count, row.seconds)), count_text(row.work.flop() / 1e9),
                   rate_and_share(row.flop_per_second(), "FLOP", limits.f32_flop),
                   rate_and_share(row.weight_bytes_per_second(), "B", limits.memory_read_bytes),
                   bound_by(row, limits)});
    add(std::move(cells), row.most);
    rows.push_back(row_json(row, limits));
  }
  report.json()["artifact"] = result.artifact;
  report.json()["file"] = result.file.string();
  report.json()["file_bytes"] = file_bytes;
  report.json()["load"] = {{"seconds", result.load_seconds},
                           {"memory", memory_json(result.load_most)},
                           {"memory_after", memory_json(result.after_load)}};
  report.json()["rows"] = rows;
  report.print(table, format);
}

void report_tokenizer(const TokenizerBenchOptions& options, const TokenizerBenchResult& result,
                      ReportFormat format) {
  Report report("tokenizer", options.runs, result.limits);
  const double limit = result.limits.best().memory_read_bytes;
  const std::string text =
      result.made_text ? "text made of the vocabulary's own words" : options.text.string();
  const double bytes_per_token = static_cast<double>(result.text_bytes) / static_cast<double>(result.tokens);
  report.line(
      fmt::format("{}, loaded in {}", options.tokenizer_json.string(), time_text(result.load_seconds)));
  report.line(fmt::format("{}: {}, {} tokens ({:.2f} bytes each); one thread", text,
                          human_bytes(result.text_bytes), result.tokens, bytes_per_token));
  report.json()["tokenizer"] = options.tokenizer_json.string();
  report.json()["text"] = result.made_text ? OrderedJson(nullptr) : OrderedJson(options.text.string());
  report.json()["text_bytes"] = result.text_bytes;
  report.json()["tokens"] = result.tokens;
  report.json()["load_seconds"] = result.load_seconds;
  report.json()["memory"] = memory_json(result.most);
  BenchTable table(
      {"what", "median", "min", "max", "spread", "speed", "tokens", "of memory reading", "peak memory"});
  const auto add = [&](const std::string& name, const Samples& seconds, std::uint64_t bytes) {
    const double speed = per_second(static_cast<double>(bytes), seconds);
    const double tokens = per_second(static_cast<double>(result.tokens), seconds);
    std::vector<std::string> row = time_cells(name, seconds);
    append(row, {rate_text(speed, "B"), rate_text(tokens, ""), share_text(share_of(speed, limit)),
                 memory_text(result.most.resident)});
    table.add(row);
    report.json()[name] = {{"seconds", samples_json(seconds)},
                           {"bytes_per_s", speed},
                           {"tokens_per_s", tokens},
                           {"share_of_limit", share_of(speed, limit)}};
  };
  add("encode", result.encode_seconds, result.text_bytes);
  add("decode", result.decode_seconds, result.decoded_bytes);
  report.print(table, format);
}

void report_image(const ImageBenchOptions& options, const ImageBenchResult& result, ReportFormat format) {
  Report report("image", options.runs, result.limits);
  const double limit = result.limits.best().memory_copy_bytes;
  report.line(fmt::format(
      "{}, {} x {} pixels, {}; resized to {} x {}; one thread",
      result.picture.empty() ? "a BMP made for it (name a picture to measure its decoder)" : result.picture,
      result.source.width, result.source.height, human_bytes(result.file_bytes), options.size.width,
      options.size.height));
  report.json()["picture"] = result.picture.empty() ? OrderedJson(nullptr) : OrderedJson(result.picture);
  report.json()["source"] = {{"width", result.source.width}, {"height", result.source.height}};
  report.json()["resized"] = {{"width", options.size.width}, {"height", options.size.height}};
  report.json()["file_bytes"] = result.file_bytes;
  report.json()["memory"] = memory_json(result.most);
  BenchTable table({"step", "median", "min", "max", "spread", "pixels", "read + written", "of memory copying",
                    "peak memory"});
  OrderedJson steps = OrderedJson::object();
  for (const ImageStep& step : result.steps) {
    const double pixels = per_second(step.pixels, step.seconds);
    const double moved = per_second(step.moved_bytes, step.seconds);
    std::vector<std::string> row = time_cells(step.name, step.seconds);
    append(row, {rate_text(pixels, "P"), rate_text(moved, "B"), share_text(share_of(moved, limit)),
                 memory_text(result.most.resident)});
    table.add(row);
    steps[step.name] = {{"seconds", samples_json(step.seconds)},
                        {"pixels_per_s", pixels},
                        {"moved_bytes_per_s", moved},
                        {"share_of_limit", share_of(moved, limit)}};
  }
  report.json()["steps"] = steps;
  report.print(table, format);
}

}  // namespace qvl::cli

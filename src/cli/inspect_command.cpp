#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "cli/command.h"
#include "cli/progress_bar.h"
#include "cli/weight_uses_json.h"
#include "onnx/read/model_summary.h"
#include "qvl/error.h"
#include "replay/kept_weights.h"

namespace qvl::cli {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

struct InspectCommand {
  fs::path path;
  bool json = false;
};

// Weights grouped by what uses them, or by dtype.
std::map<std::string, std::uint64_t> bytes_by(const ModelSummary& summary,
                                              std::string ModelSummary::Initializer::* key) {
  std::map<std::string, std::uint64_t> bytes;
  for (const auto& initializer : summary.initializers) {
    const std::string& group = initializer.*key;
    bytes[group.empty() ? "unused" : group] += initializer.size_bytes;
  }
  return bytes;
}

OrderedJson ports_json(const std::vector<ModelSummary::Port>& ports) {
  OrderedJson json = OrderedJson::array();
  for (const auto& port : ports) {
    OrderedJson shape = OrderedJson::array();
    for (const std::string& dim : port.shape) {
      const bool number =
          !dim.empty() && std::all_of(dim.begin(), dim.end(), [](char c) { return c >= '0' && c <= '9'; });
      if (number && dim.size() < 19) {
        shape.push_back(std::stoll(dim));
      } else {
        shape.push_back(dim);
      }
    }
    json.push_back({{"name", port.name}, {"dtype", port.dtype}, {"shape", shape}});
  }
  return json;
}

// What can be quantized of a file.
struct Units {
  std::optional<int> count;  // none where the graph cannot be looked at so closely
  std::string why;           // that is
  WeightUses uses;
};

Units units_in(const fs::path& file) {
  Units units;
  try {
    const ModelGraph graph(file);
    const std::vector<Unit> found = find_units(graph);
    units.count = static_cast<int>(found.size());
    units.uses = weight_uses(graph, found);
  } catch (const Error& error) {
    units.why = error.what();
  }
  return units;
}

// By the op whose bodies they lie in: units, and the parameters of their weights, each once.
struct BodyCount {
  std::vector<std::string> names;
  std::int64_t parameters = 0;
};
std::map<std::string, BodyCount> bodies_of(const ModelSummary& summary) {
  std::map<std::string, BodyCount> bodies;
  std::set<std::string> counted;
  for (const BodyUnit& unit : summary.body_units) {
    BodyCount& own = bodies[unit.control];
    own.names.push_back(unit.name);
    if (counted.insert(unit.weight).second) own.parameters += unit.parameters;
  }
  return bodies;
}

OrderedJson summary_json(const ModelSummary& summary, const Units& units) {
  OrderedJson json = {{"opset", summary.opset},
                      {"inputs", ports_json(summary.inputs)},
                      {"outputs", ports_json(summary.outputs)},
                      {"ops", summary.ops},
                      {"parameters", summary.parameters},
                      {"bytes", summary.size_bytes},
                      {"bytes_by_op", bytes_by(summary, &ModelSummary::Initializer::used_by)},
                      {"bytes_by_dtype", bytes_by(summary, &ModelSummary::Initializer::dtype)},
                      {"ir_version", summary.ir_version},
                      {"producer", summary.producer},
                      {"other_opsets", summary.other_opsets}};
  for (const auto& [op, body] : bodies_of(summary)) {
    json["units_in_bodies"].push_back(
        {{"bodies_of", op}, {"units", body.names}, {"parameters", body.parameters}});
  }
  json["units"] = units.count ? OrderedJson(*units.count) : OrderedJson();
  if (!units.count) {
    json["units_unknown"] = units.why;
    return json;
  }
  json["weight_bytes"] = units.uses.bytes;
  json["unit_bytes"] = units.uses.unit_bytes;
  json["kept"] = OrderedJson::parse(kept_json(units.uses.kept));
  return json;
}

// `bodies`: units lie in bodies of If, Loop or Scan, whose own weights are not among the bytes.
void print_units(const Units& units, bool bodies) {
  if (!units.count) {
    std::cout << fmt::format("units not known: {}\n", units.why);
    return;
  }
  const auto bytes = static_cast<double>(units.uses.bytes);
  const double share = bytes > 0 ? 100 * static_cast<double>(units.uses.unit_bytes) / bytes : 0;
  std::cout << fmt::format("{} units (what can be quantized), {:.1f} % of the bytes of weights{}\n",
                           *units.count, share, bodies ? " outside the bodies below" : "");
  const std::string kept = describe_kept(units.uses.kept, units.uses.bytes);
  if (!kept.empty()) std::cout << fmt::format("weights of no unit: {}\n", kept);
}

void print_ports(const char* title, const std::vector<ModelSummary::Port>& ports) {
  std::cout << title << "\n";
  for (const auto& port : ports) {
    std::string shape;
    for (const std::string& dim : port.shape) shape += (shape.empty() ? "" : ", ") + dim;
    std::cout << fmt::format("  {:<24} {:<5} [{}]\n", port.name, port.dtype, shape);
  }
}

void print_bytes(const char* title, const std::map<std::string, std::uint64_t>& bytes) {
  std::cout << title << "\n";
  for (const auto& [group, count] : bytes)
    std::cout << fmt::format("  {:<24} {:>12}\n", group, human_bytes(count));
}

void print_inspect_summary(const fs::path& path, const ModelSummary& summary, const Units& units) {
  std::cout << path.string() << "\n";
  std::cout << fmt::format("opset {}, IR version {}, by {}\n", summary.opset, summary.ir_version,
                           summary.producer.empty() ? "an unnamed producer" : summary.producer);
  print_ports("inputs", summary.inputs);
  print_ports("outputs", summary.outputs);
  std::cout << fmt::format("{} parameters, {}\n", summary.parameters, human_bytes(summary.size_bytes));
  print_units(units, !summary.body_units.empty());
  print_bytes("bytes by op", bytes_by(summary, &ModelSummary::Initializer::used_by));
  print_bytes("bytes by dtype", bytes_by(summary, &ModelSummary::Initializer::dtype));
  for (const auto& [op, body] : bodies_of(summary)) {
    std::cout << fmt::format("{} units, {} parameters, lie in bodies of {}, where qvl quantizes nothing:\n",
                             body.names.size(), body.parameters, op);
    for (const std::string& name : body.names) std::cout << "  " << name << "\n";
  }
  std::cout << "nodes\n";
  for (const auto& [op, count] : summary.ops) std::cout << fmt::format("  {:<24} {:>12}\n", op, count);
}

std::vector<fs::path> onnx_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == ".onnx") files.push_back(entry.path());
  }
  if (files.empty()) throw InputError(fmt::format("{} holds no .onnx file", folder.string()));
  std::sort(files.begin(), files.end());
  return files;
}

void run_inspect(const InspectCommand& arguments) {
  if (!fs::is_directory(arguments.path)) {
    const ModelSummary summary = summarize_model(arguments.path);
    if (arguments.json) {
      std::cout << summary_json(summary, units_in(arguments.path))
                       .dump(-1, ' ', false, OrderedJson::error_handler_t::replace)
                << "\n";
    } else {
      print_inspect_summary(arguments.path, summary, units_in(arguments.path));
    }
    return;
  }
  OrderedJson all = OrderedJson::object();
  bool first = true;
  for (const fs::path& file : onnx_files(arguments.path)) {
    const ModelSummary summary = summarize_model(file);
    if (arguments.json) {
      all[file.filename().string()] = summary_json(summary, units_in(file));
    } else {
      if (!first) std::cout << "\n";
      print_inspect_summary(file, summary, units_in(file));
    }
    first = false;
  }
  if (arguments.json) std::cout << all.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) << "\n";
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto arguments = std::make_shared<InspectCommand>();
  CLI::App* command = app.add_subcommand("inspect", "Tell what an ONNX file holds, without running it");
  command->add_option("PATH", arguments->path, "ONNX file, or a folder of them")->required();
  command->add_flag("--json", arguments->json,
                    "JSON: an object per file; for a folder, one object keyed by file name");
  command->footer(
      "Inputs, outputs, op counts, parameters, what can be quantized and what cannot, bytes by op type and "
      "by\n"
      "dtype.\n\n"
      "Example:\n  qvl inspect demo/out\n  qvl inspect demo/out/shapes_vl_text_fp16.onnx --json");
  command->callback([arguments] { run_inspect(*arguments); });
}

}  // namespace qvl::cli

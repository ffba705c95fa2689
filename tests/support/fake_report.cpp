#include "support/fake_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string_view>

namespace qvl::test {
namespace {

// Uniform in [0, 1), of a name and nothing else (FNV-1a, then the finaliser of SplitMix64).
double chance(const std::string& name) {
  std::uint64_t x = 0xcbf29ce484222325U;
  for (const char c : name) x = (x ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  x ^= x >> 31U;
  return static_cast<double>(x >> 11U) * 0x1p-53;
}

// About standard normal times `deviation`, as a factor.
double factor(const std::string& name, double deviation) {
  double sum = -2;
  for (const char* part : {"/1", "/2", "/3", "/4"}) sum += chance(name + part);
  return std::exp(sum * std::sqrt(3.0) * deviation);
}

struct Sizes {
  std::int64_t vision_blocks;
  std::int64_t text_layers;
  std::int64_t vision_hidden;
  std::int64_t vision_wide;
  std::int64_t hidden;
  std::int64_t wide;
  std::int64_t key_values;
  std::int64_t vocabulary;
};

struct Kind {
  std::string_view name;
  std::int64_t depth;
  std::int64_t rows;
};

UnitResult unit(std::string part, std::string layer, std::string_view kind, std::int64_t block,
                std::int64_t depth, std::int64_t rows) {
  UnitResult u;
  u.name = layer + (kind.empty() ? "" : "/" + std::string(kind)) + "/MatMul";
  u.op = "MatMul";
  u.weight = u.name.substr(1, u.name.rfind('/') - 1) + ".weight";
  std::ranges::replace(u.weight, '/', '.');
  u.depth = depth;
  u.rows = rows;
  u.parameters = depth * rows;
  u.part = std::move(part);
  u.block = block;
  u.layer = std::move(layer);
  u.kind = kind;
  return u;
}

std::vector<UnitResult> units_of(const Sizes& s) {
  std::vector<UnitResult> units;
  const std::array<Kind, 5> vision{{{"attn/qkv", s.vision_hidden, 3 * s.vision_hidden},
                                    {"attn/proj", s.vision_hidden, s.vision_hidden},
                                    {"mlp/gate_proj", s.vision_hidden, s.vision_wide},
                                    {"mlp/up_proj", s.vision_hidden, s.vision_wide},
                                    {"mlp/down_proj", s.vision_wide, s.vision_hidden}}};
  const std::array<Kind, 7> text{{{"self_attn/q_proj", s.hidden, s.hidden},
                                  {"self_attn/k_proj", s.hidden, s.key_values},
                                  {"self_attn/v_proj", s.hidden, s.key_values},
                                  {"self_attn/o_proj", s.hidden, s.hidden},
                                  {"mlp/gate_proj", s.hidden, s.wide},
                                  {"mlp/up_proj", s.hidden, s.wide},
                                  {"mlp/down_proj", s.wide, s.hidden}}};
  UnitResult patches = unit("vision", "vision", "", 0, 1176, s.vision_hidden);
  patches.name = "/visual/patch_embed/proj/MatMul";
  patches.weight = "visual.patch_embed.proj.weight";
  patches.kind = "patch_embed/proj";
  units.push_back(patches);
  for (std::int64_t b = 0; b < s.vision_blocks; ++b) {
    for (const Kind& k : vision)
      units.push_back(unit("vision", "/visual/blocks." + std::to_string(b), k.name, b + 1, k.depth, k.rows));
  }
  const std::int64_t merged = 4 * s.vision_hidden;
  units.push_back(unit("vision", "/visual/merger/mlp.0", "", s.vision_blocks + 1, merged, merged));
  units.push_back(unit("vision", "/visual/merger/mlp.2", "", s.vision_blocks + 1, merged, s.hidden));
  for (std::int64_t l = 0; l < s.text_layers; ++l) {
    for (const Kind& k : text)
      units.push_back(
          unit("text_with_image", "/model/layers." + std::to_string(l), k.name, l, k.depth, k.rows));
  }
  UnitResult head =
      unit("text_with_image", "text_with_image", "lm_head", s.text_layers, s.hidden, s.vocabulary);
  head.name = "/lm_head/Gemm";
  head.op = "Gemm";
  head.weight = "model.embed_tokens.weight";
  units.push_back(head);
  return units;
}

// How large the relative error at the unit's own output is.
double local_level(const UnitResult& u, const std::string& format) {
  const double base = format.starts_with("int4") ? 0.09 : format == "int8-dynamic" ? 0.016 : 0.007;
  double kind = 1;
  if (u.kind.ends_with("down_proj")) kind = 2.2;
  if (u.kind.ends_with("o_proj") || u.kind.ends_with("attn/proj")) kind = 1.4;
  if (u.kind.ends_with("k_proj")) kind = 0.7;
  return base * kind * factor(u.name + format + "local", 0.25);
}

// How much of it arrives at the output.
double gain(const UnitResult& u, std::int64_t last_block) {
  const double depth = last_block == 0 ? 0 : static_cast<double>(u.block) / static_cast<double>(last_block);
  double result =
      u.part == "vision" ? 0.15 + 0.5 * depth * depth : 0.35 + 1.5 * (depth - 0.55) * (depth - 0.55);
  if (u.kind.ends_with("down_proj") && u.block >= 1 && u.block <= 2 && u.part != "vision") result *= 25;
  if (u.kind.ends_with("v_proj") || u.kind.ends_with("lm_head")) result *= 2;
  if (u.kind.ends_with("k_proj") || u.kind.ends_with("q_proj")) result *= 0.45;
  return result;
}

OutputError output(double kl, const std::string& seed, double exact_unquantized) {
  OutputError error;
  error.mse = kl * 1.7 * factor(seed + "mse", 0.2);
  error.kl = kl;
  error.kl_stderr = kl * 0.07 * factor(seed + "stderr", 0.3);
  error.kl_median = kl * 0.3 * factor(seed + "median", 0.3);
  error.kl_p99 = kl * 7 * factor(seed + "p99", 0.3);
  error.top1 = 1 - std::min(0.9, 0.3 * std::sqrt(kl) * factor(seed + "top1", 0.2));
  error.exact = std::round(64 * exact_unquantized * (1 - std::min(1.0, 0.9 * std::sqrt(kl)))) / 64;
  return error;
}

OutputError without_logits(const OutputError& error) {
  OutputError mse_only;
  mse_only.mse = error.mse;
  return mse_only;
}

LocalError local(const UnitResult& u, const std::string& format) {
  LocalError error;
  error.relative_error = local_level(u, format);
  error.sqnr_db = -20 * std::log10(error.relative_error);
  error.cosine = 1 - error.relative_error * error.relative_error / 2;
  if (u.part == "text_with_image" && !u.kind.ends_with("lm_head")) {
    const double tilt = 1.3 * factor(u.name + format + "tokens", 0.3);
    error.picture_relative_error = error.relative_error * std::sqrt(tilt);
    error.text_relative_error = error.relative_error / std::sqrt(tilt);
  }
  return error;
}

void measure(UnitResult& u, const std::string& format, std::int64_t last_block, double whole_kl,
             double exact_unquantized) {
  FormatResult result;
  result.format = format;
  result.local = local(u, format);
  const double relative = result.local->relative_error;
  result.weight_mse = relative * relative * 4e-4;
  const std::string seed = u.name + format;
  const double kl = relative * relative * gain(u, last_block) * factor(seed + "kl", 0.35);
  result.in = output(kl, seed, exact_unquantized);
  result.out = output(std::max(whole_kl * 0.05, whole_kl - kl), seed + "out", exact_unquantized);
  const double ratio = factor(seed + "fast", 0.2);
  result.fast_in = Estimate{result.in->mse * ratio, kl * ratio};
  result.fast_out = Estimate{result.out->mse * ratio, *result.out->kl * factor(seed + "fast out", 0.02)};
  result.method = "exact";
  if (chance(seed + "method") > 0.3 && gain(u, last_block) < 2) {
    result.method = "fast";
    for (auto* side : {&result.in, &result.out}) {
      const Estimate& estimate = side == &result.in ? *result.fast_in : *result.fast_out;
      side->emplace().mse = estimate.mse;
      (*side)->kl = estimate.kl;
    }
  }
  u.formats.push_back(std::move(result));
}

SensitivityReport report_of(const Sizes& sizes, const std::vector<std::string>& formats, std::string model) {
  SensitivityReport report;
  report.model = std::move(model);
  report.model_sha256 = "6f1ed002ab5595859014ebf0951522d9a1e2fd0b9d7d9d0c1f6d2d5c0f7d1b2a";
  report.data = "calibration.jsonl";
  report.data_sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
  report.samples = 64;
  report.positions = 1893;
  std::string all;
  for (const std::string& format : formats) all += (all.empty() ? "" : ",") + format;
  report.settings = {{"formats", all},        {"calibrate", "minmax"},  {"units", "*"},
                     {"method", "automatic"}, {"direction", "in,out"},  {"criterion", "kl"},
                     {"qvl", "0.0.0"},        {"onnxruntime", "1.32.0"}};
  report.has_logits = true;
  report.exact_unquantized = 59.0 / 64;
  report.units = units_of(sizes);
  for (const std::string& format : formats) {
    const double whole_kl = format.starts_with("int4") ? 0.94 : format == "int8-dynamic" ? 0.061 : 0.013;
    for (UnitResult& u : report.units) {
      const std::int64_t last = u.part == "vision" ? sizes.vision_blocks + 1 : sizes.text_layers;
      measure(u, format, last, whole_kl, *report.exact_unquantized);
    }
    report.whole.push_back({format, output(whole_kl, format, *report.exact_unquantized)});
    std::int64_t exact = 0;
    for (const UnitResult& u : report.units) exact += u.formats.back().method == "exact" ? 1 : 0;
    for (const char* direction : {"in", "out"}) {
      for (const char* name : {"kl", "mse"})
        report.correlations.push_back(
            {format, direction, name, 0.95 + 0.04 * chance(format + direction + name), exact});
      EstimateTrust trust;
      trust.format = format;
      trust.direction = direction;
      trust.checked = 12;
      trust.spearman = 0.9375;
      trust.spearman_error = 0.0625;
      trust.measured = exact;
      trust.top = 5;
      trust.top_found = 4;
      trust.settled = true;
      report.trust.push_back(std::move(trust));
    }
  }
  return report;
}

}  // namespace

SensitivityReport fake_tiny_report() {
  return report_of({2, 2, 16, 24, 32, 64, 8, 300}, {"int8", "int4:32"}, "tiny");
}

SensitivityReport fake_3b_report() {
  return report_of({32, 36, 1280, 3420, 2048, 11008, 256, 151936}, {"int8", "int8-dynamic", "int4:32"},
                   "made-up-3b");
}

SensitivityReport fake_plain_report() {
  SensitivityReport report = report_of({1, 2, 16, 24, 32, 64, 8, 300}, {"int8"}, "classifier.onnx");
  report.has_logits = false;
  report.criterion = Criterion::mse;
  report.positions = 0;
  report.exact_unquantized.reset();
  report.output_mean_square = 25;
  for (auto& [key, value] : report.settings) {
    if (key == "criterion") value = "mse";
  }
  for (UnitResult& u : report.units) {
    u.part = "classifier.onnx";
    u.op = "Conv";
    FormatResult& result = u.formats.front();
    result.in = without_logits(*result.in);
    result.out.reset();
    result.fast_in->kl.reset();
    result.fast_out.reset();
    result.local->picture_relative_error.reset();
    result.local->text_relative_error.reset();
  }
  for (WholeResult& whole : report.whole) whole.all = without_logits(*whole.all);
  std::erase_if(report.correlations,
                [](const Correlation& c) { return c.direction == "out" || c.measure == "kl"; });
  std::erase_if(report.trust, [](const EstimateTrust& t) { return t.direction == "out"; });
  return report;
}

SensitivityReport fake_resnet_report() {
  SensitivityReport report =
      report_of({1, 1, 16, 24, 32, 64, 8, 300}, {"int8", "int8-dynamic"}, "resnet.onnx");
  report.has_logits = false;
  report.criterion = Criterion::mse;
  report.exact_unquantized.reset();
  report.output_mean_square = 4;
  const UnitResult pattern = report.units.front();
  report.units.clear();
  const auto add = [&](const std::string& layer, const std::string& kind) {
    UnitResult u = unit("resnet.onnx", layer, kind, static_cast<std::int64_t>(report.units.size()), 576, 64);
    u.name = (layer == "resnet.onnx" ? "/" : layer + "/") + kind + "/Conv";
    u.op = "Conv";
    u.formats = pattern.formats;
    for (FormatResult& result : u.formats) {
      for (auto* side : {&result.in, &result.out}) {
        side->emplace(without_logits(**side));
        (*side)->mse *= factor(u.name + result.format, 1.5);
      }
      result.local->picture_relative_error.reset();
      result.local->text_relative_error.reset();
    }
    report.units.push_back(std::move(u));
  };
  add("resnet.onnx", "conv1");
  for (const std::string stage : {"1", "2", "3", "4"}) {
    for (const std::string block : {"0", "1"}) {
      for (const char* kind : {"conv1", "conv2"}) add("/stage" + stage + "/block." + block, kind);
    }
    if (stage != "1") add("/stage" + stage + "/block.0", "downsample/downsample.0");
  }
  add("resnet.onnx", "fc");
  for (WholeResult& whole : report.whole) whole.all = without_logits(*whole.all);
  report.correlations.clear();
  report.trust.clear();
  return report;
}

namespace {

double stored_bits(const std::string& format) { return format.starts_with("int4") ? 4.5 : 8.02; }

double error_of(const SensitivityReport& report, const FormatResult& result) {
  return report.has_logits ? result.in->kl.value() : result.in->mse;
}

// From one unit's format to a larger one, or to none.
struct Step {
  double bits = 0;  // over all the unit's weights
  double error = 0;
};

// Steps of falling worth, one after another, as on the lower hull of the unit's formats.
void add_steps(const SensitivityReport& report, const UnitResult& unit, std::vector<Step>& steps,
               PlanPoint& start) {
  std::vector<Step> choices{{16.0 * static_cast<double>(unit.parameters), 0}};
  for (const FormatResult& result : unit.formats) {
    choices.push_back(
        {stored_bits(result.format) * static_cast<double>(unit.parameters), error_of(report, result)});
  }
  std::ranges::sort(choices, {}, [](const Step& choice) { return choice.bits; });
  const auto worth = [](const Step& from, const Step& to) {
    return (from.error - to.error) / std::max(1.0, to.bits - from.bits);
  };
  std::size_t at = 0;
  start.bits += choices[0].bits;
  start.error += choices[0].error;
  while (at + 1 < choices.size()) {
    std::size_t next = at + 1;
    for (std::size_t i = at + 2; i < choices.size(); ++i) {
      if (worth(choices[at], choices[i]) > worth(choices[at], choices[next])) next = i;
    }
    steps.push_back({choices[next].bits - choices[at].bits, choices[at].error - choices[next].error});
    at = next;
  }
}

}  // namespace

PlanFront fake_front(const SensitivityReport& report, int plans) {
  double weights = 0;
  PlanPoint sum;  // bits over all weights until it is made a point
  std::vector<Step> steps;
  for (const UnitResult& unit : report.units) {
    weights += static_cast<double>(unit.parameters);
    add_steps(report, unit, steps, sum);
  }
  std::ranges::stable_sort(steps, std::greater(), [](const Step& s) { return s.error / s.bits; });
  PlanFront front;
  front.unquantized_bytes = static_cast<std::uint64_t>(2 * weights);
  const auto add_point = [&](double error) {
    front.points.push_back({static_cast<std::uint64_t>(sum.bits / 8), sum.bits / weights, error});
  };
  add_point(sum.error);
  for (const Step& step : steps) {
    sum.bits += step.bits;
    sum.error -= step.error;
    add_point(&step == &steps.back() ? 0 : std::max(sum.error, 0.0));
  }
  for (int i = 0; i < plans; ++i) {
    const bool by_kl = i + 1 == plans && plans > 2;
    const double bits = by_kl ? 9.5 : 4.75 + 0.5 * i;
    const auto after = std::ranges::find_if(front.points, [&](const PlanPoint& p) { return p.bits > bits; });
    PlanMark mark;
    mark.point = after == front.points.begin() ? *after : *(after - 1);
    mark.name = by_kl ? "kl=" + std::to_string(mark.point.error).substr(0, 6)
                      : "bits=" + std::to_string(bits).substr(0, 4);
    if (i % 4 != 3) mark.measured = mark.point.error * 1.25 * factor(mark.name, 0.3);
    front.marks.push_back(std::move(mark));
  }
  return front;
}

SensitivityReport fake_hostile_report() {
  SensitivityReport report = fake_tiny_report();
  report.model = "</title><script>document.title = 'broken out'</script>&amp;[[report]]";
  report.data = "<!--<script>";
  report.settings.emplace_back("__proto__", "</script><img src=x onerror=\"document.title='broken out'\">");
  report.units[0].name = "</script><script>document.title = 'broken out'</script>";
  report.units[1].name = R"("quotes" 'and' \ and `${1}`)";
  report.units[2].name = "/Größe/\xe5\xb1\xa4.2/\xf0\x9f\xa6\x8a/MatMul";
  report.units[3].name = "<!-- a comment";
  report.units[4].layer = "<b>bold</b>";
  report.units[4].kind = "&lt;kind&gt;";
  report.front = fake_front(report, 1);
  report.front->marks[0].name = "</script><img src=x onerror=\"document.title='broken out'\">";
  return report;
}

}  // namespace qvl::test

#include "models/family.h"

#include <fmt/format.h>

#include <mutex>
#include <system_error>

#include "checkpoint/config_limits.h"
#include "core/json_text.h"
#include "core/text_file.h"
#include "models/qwen25vl/family.h"
#include "qvl/error.h"

namespace qvl {
namespace {

struct Registry {
  std::mutex mutex;
  std::vector<const Family*> families{&qwen25vl::family()};
};

Registry& registry() {
  static Registry all;
  return all;
}

}  // namespace

CheckpointOutline Family::outline(const Preset& preset, const OutlineOptions&) const {
  throw UsageError(fmt::format("{} has no preset {}", name(), preset.name));
}

std::vector<const Family*> families() {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  return all.families;
}

void register_family(const Family& family) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  all.families.push_back(&family);
}

const Family& family_of(std::string_view config_json, std::string_view source) {
  const std::vector<const Family*> known = families();
  const Json config = parse_json(config_json, source);
  const auto type = config.is_object() ? config.find("model_type") : config.end();
  if (config.is_object() && type != config.end() && type->is_string()) {
    for (auto family = known.rbegin(); family != known.rend(); ++family) {
      if ((*family)->model_type() == type->get_ref<const std::string&>()) return **family;
    }
  }
  return *known.front();
}

const Family& family_in(const std::filesystem::path& folder) {
  const std::filesystem::path config = folder / "config.json";
  std::error_code error;
  if (!std::filesystem::is_regular_file(config, error)) return *families().front();
  try {
    return family_of(read_text_file(config, kMaxConfigBytes), config.string());
  } catch (const InputError&) {  // what is wrong with it is said by those who read it whole
    return *families().front();
  }
}

std::shared_ptr<const Model> read_model(const std::filesystem::path& config_json) {
  const std::string text = read_text_file(config_json, kMaxConfigBytes);
  return family_of(text, config_json.string()).parse(text, config_json.string());
}

std::vector<FamilyPreset> presets() {
  std::vector<FamilyPreset> all;
  for (const Family* family : families()) {
    for (const Preset& preset : family->presets()) all.push_back({family, preset});
  }
  return all;
}

FamilyPreset preset(std::string_view name) {
  std::string names;
  for (const FamilyPreset& known : presets()) {
    if (known.preset.name == name) return known;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", known.preset.name);
  }
  throw UsageError(fmt::format("there is no preset {}; {} can be had", name, names));
}

}  // namespace qvl

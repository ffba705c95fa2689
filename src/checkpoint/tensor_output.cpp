#include "checkpoint/tensor_output.h"

#include <fmt/format.h>

#include <system_error>

#include "checkpoint/safetensors.h"
#include "core/output_file.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMark = "qvl";
constexpr const char* kResult = "result";

bool is_result(const fs::path& file) {
  try {
    const SafetensorsFile there(file);
    const auto mark = there.metadata().find(kMark);
    return mark != there.metadata().end() && mark->second == kResult;
  } catch (const InputError&) {
    return false;  // no safetensors file at all
  }
}

}  // namespace

std::map<std::string, std::string> result_metadata() { return {{kMark, kResult}}; }

void require_result_place(const fs::path& place, const std::string& option,
                          std::span<const fs::path> inputs) {
  (void)output_place(place);
  std::error_code error;
  for (const fs::path& input : inputs) {
    if (fs::equivalent(input, place, error) && !error)
      throw UsageError(fmt::format("{} {} is an input itself", option, place.string()));
  }
  if (!fs::exists(place, error) || fs::file_size(place, error) == 0 || is_result(place)) return;
  throw InputError(
      fmt::format("{} is there and was not written by this command; choose another name, or remove it first",
                  place.string()));
}

}  // namespace qvl

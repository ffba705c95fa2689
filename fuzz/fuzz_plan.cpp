// plan.json: any text is a plan, which is written and read again as the same, or an InputError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "quant/quant_plan.h"
#include "qvl/error.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const qvl::QuantPlan plan =
        qvl::QuantPlan::parse({reinterpret_cast<const char*>(data), size}, "plan.json");
    require(!plan.entries.empty() || plan.embedding);
    for (const qvl::PlanEntry& entry : plan.entries) {
      if (entry.format) qvl::check(*entry.format);
    }
    if (!plan.entries.empty()) (void)plan.of(plan.entries.front().name);
    const std::string text = plan.to_json();
    const qvl::QuantPlan again = qvl::QuantPlan::parse(text, "written");
    require(again == plan);
    require(again.to_json() == text);
    require(again.sha256() == plan.sha256());
  } catch (const qvl::InputError&) {
    // expected for most inputs
  }
  return 0;
}

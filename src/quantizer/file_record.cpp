#include "quantizer/file_record.h"

#include <nlohmann/json.hpp>

#include "folder/manifest.h"
#include "qvl/version.h"

namespace qvl {

std::string quantization_record(const std::string& file, const QuantPlan& plan,
                                std::span<const TensorReport> tensors) {
  using OrderedJson = nlohmann::ordered_json;
  OrderedJson json{{"qvl", QVL_VERSION}, {"file", file}, {"plan", OrderedJson::parse(plan.to_json())}};
  json["tensors"] = OrderedJson::array();
  for (const TensorReport& tensor : tensors) {
    if (!tensor.quantization) continue;
    json["tensors"].push_back(OrderedJson::parse(tensor_json_text(tensor)));
  }
  return json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace qvl

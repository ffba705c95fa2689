#include "cli/weight_uses_json.h"

#include <nlohmann/json.hpp>

namespace qvl::cli {

std::string kept_json(std::span<const KeptWeights> weights) {
  using OrderedJson = nlohmann::ordered_json;
  OrderedJson json = OrderedJson::array();
  for (const KeptWeights& kept : weights)
    json.push_back({{"what", kept.what}, {"nodes", kept.nodes}, {"bytes", kept.bytes}});
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace qvl::cli

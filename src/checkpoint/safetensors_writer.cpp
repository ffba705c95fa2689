#include "checkpoint/safetensors_writer.h"

#include <fmt/format.h>

#include <string_view>
#include <unordered_map>
#include <vector>

#include "checkpoint/safetensors_layout.h"
#include "core/message_quote.h"
#include "core/output_file.h"
#include "qvl/error.h"

namespace qvl {

void write_safetensors(const std::filesystem::path& place, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorSpec> specs;
  std::unordered_map<std::string_view, std::span<const std::byte>> bytes;
  for (const NamedTensor& named : tensors) {
    const TensorSpec& spec =
        specs.emplace_back(TensorSpec{named.name, named.tensor.dtype, named.tensor.shape});
    if (spec.size_bytes() != named.tensor.bytes.size()) {
      throw UsageError(fmt::format("tensor {} has {} bytes, which is not what {} of {} take",
                                   quote_for_message(spec.name), named.tensor.bytes.size(),
                                   to_string(spec.shape), name(spec.dtype)));
    }
    bytes.emplace(named.name, named.tensor.bytes);
  }
  const SafetensorsLayout layout = lay_out_safetensors(specs, metadata);
  OutputFile file(place);
  file.append(layout.header);
  for (const TensorEntry& entry : layout.entries) file.append(bytes.at(entry.name));
  file.commit();
}

}  // namespace qvl

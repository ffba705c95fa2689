// The protobuf wire format of ONNX files, as far as it takes to read a model without its weights.
// Source: the protobuf encoding specification and the field numbers of onnx.proto.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace qvl {

// A serialized ModelProto without the values of its tensors (names, types, dims and places of external data
// stay), small enough to parse whatever the model's size. Throws InputError naming `source` where the bytes
// are not such a message.
[[nodiscard]] std::string strip_tensor_values(std::span<const std::byte> model, std::string_view source);

}  // namespace qvl

#include "onnx/read/wire.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "qvl/error.h"

namespace qvl {
namespace {

using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;

// Messages that are looked into, and those of their fields that hold such messages.
enum class Message { model, graph, node, attribute, sparse_tensor, tensor, opaque };

Message child(Message parent, std::uint64_t field) {
  switch (parent) {
    case Message::model:
      return field == 7 ? Message::graph : Message::opaque;
    case Message::graph:
      if (field == 1) return Message::node;
      if (field == 5) return Message::tensor;
      return field == 15 ? Message::sparse_tensor : Message::opaque;
    case Message::node:
      return field == 5 ? Message::attribute : Message::opaque;
    case Message::attribute:
      if (field == 5 || field == 10) return Message::tensor;
      if (field == 6 || field == 11) return Message::graph;
      return field == 22 || field == 23 ? Message::sparse_tensor : Message::opaque;
    case Message::sparse_tensor:
      return field == 1 || field == 2 ? Message::tensor : Message::opaque;
    case Message::tensor:
    case Message::opaque:
      return Message::opaque;
  }
  return Message::opaque;
}

// float_data, int32_data, string_data, int64_data, raw_data, double_data, uint64_data of TensorProto.
bool holds_values(std::uint64_t field) { return (field >= 4 && field <= 7) || (field >= 9 && field <= 11); }

constexpr int kMaxDepth = 64;
constexpr std::uint64_t kFewBytes = 8;

class Stripper {
 public:
  explicit Stripper(std::string_view source) : source_(source) {}

  std::string strip(std::string_view bytes, Message message, int depth) const {
    if (depth > kMaxDepth) fail("nested too deep");
    std::string out;
    std::size_t at = 0;
    while (at < bytes.size()) {
      const std::size_t start = at;
      const std::uint64_t tag = varint(bytes, at);
      const std::uint64_t field = tag >> 3U;
      if (field == 0) fail("a field has the number 0");
      const bool drop = message == Message::tensor && holds_values(field);
      switch (tag & 7U) {
        case 0:
          (void)varint(bytes, at);
          break;
        case 1:
          skip(bytes, at, 8);
          break;
        case 5:
          skip(bytes, at, 4);
          break;
        case 2: {
          const std::uint64_t length = varint(bytes, at);
          if (length > bytes.size() - at) fail("a field is longer than the file");
          const std::string_view body = bytes.substr(at, length);
          at += length;
          const Message inner = child(message, field);
          if (drop && length <= kFewBytes) {  // conditions, axes
            out += bytes.substr(start, at - start);
            continue;
          }
          if (!drop && inner != Message::opaque) {
            const std::string stripped = strip(body, inner, depth + 1);
            put_varint(out, tag);
            put_varint(out, stripped.size());
            out += stripped;
            continue;
          }
          break;
        }
        default:
          fail("an unknown wire type");
      }
      if (!drop) out += bytes.substr(start, at - start);
    }
    return out;
  }

 private:
  [[noreturn]] void fail(const char* why) const {
    throw InputError(fmt::format("{} is not an ONNX model: {}", source_, why));
  }

  std::uint64_t varint(std::string_view bytes, std::size_t& at) const {
    constexpr std::size_t kLongest = 10;
    const std::size_t length = std::min(kLongest, bytes.size() - at);
    CodedInputStream input(reinterpret_cast<const std::uint8_t*>(bytes.data()) + at,
                           static_cast<int>(length));
    std::uint64_t value = 0;
    if (!input.ReadVarint64(&value))
      fail(length < kLongest ? "it ends in the middle of a number" : "a number is too long");
    at += static_cast<std::size_t>(input.CurrentPosition());
    return value;
  }

  void skip(std::string_view bytes, std::size_t& at, std::size_t count) const {
    if (count > bytes.size() - at) fail("it ends in the middle of a field");
    at += count;
  }

  static void put_varint(std::string& out, std::uint64_t value) {
    std::array<std::uint8_t, 10> bytes{};
    const std::uint8_t* const end = CodedOutputStream::WriteVarint64ToArray(value, bytes.data());
    out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(end - bytes.data()));
  }

  std::string_view source_;
};

}  // namespace

std::string strip_tensor_values(std::span<const std::byte> model, std::string_view source) {
  return Stripper(source).strip({reinterpret_cast<const char*>(model.data()), model.size()}, Message::model,
                                0);
}

}  // namespace qvl

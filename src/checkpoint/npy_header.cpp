#include "checkpoint/npy_header.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "core/message_quote.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::uint64_t kMaxNpyHeaderBytes = std::uint64_t{1} << 20U;
constexpr std::size_t kMaxNpyRank = 32;

[[noreturn]] void refuse_array(std::string_view source, std::string_view what) {
  throw InputError(fmt::format("{} is not a valid .npy file: {}", source, what));
}

struct TypeRow {
  std::string_view code;  // without the byte order
  DType dtype;
};

constexpr std::array kTypes{
    TypeRow{"f2", DType::f16}, TypeRow{"f4", DType::f32}, TypeRow{"f8", DType::f64},
    TypeRow{"i1", DType::i8},  TypeRow{"i2", DType::i16}, TypeRow{"i4", DType::i32},
    TypeRow{"i8", DType::i64}, TypeRow{"u1", DType::u8},  TypeRow{"u2", DType::u16},
    TypeRow{"u4", DType::u32}, TypeRow{"u8", DType::u64}, TypeRow{"b1", DType::boolean}};

// What a user does about a type that is not read.
std::string_view advice(std::string_view code) {
  if (code.starts_with('O')) return "arrays of Python objects are never read; save numbers (astype)";
  if (code == "V2") return "bfloat16 is read from safetensors files only; save it there, or as float32";
  return "save one of float16, float32, float64, int8 to int64, uint8 to uint64, bool (astype)";
}

DType dtype_of(std::string_view descr, std::string_view source) {
  const std::string_view code = descr.substr(descr.empty() ? 0 : 1);
  for (const TypeRow& row : kTypes) {
    if (row.code != code) continue;
    const char order = descr[0];
    // One byte has no order, whatever stands there.
    if (order == '<' || (size_bytes(row.dtype) == 1 && (order == '|' || order == '>'))) return row.dtype;
    if (order == '>') {
      throw InputError(
          fmt::format("{} holds big-endian numbers ({}); save them in little-endian order: "
                      "array.astype(array.dtype.newbyteorder('<'))",
                      source, quote_for_message(descr)));
    }
  }
  throw InputError(fmt::format("{} holds elements of the type {}, which qvl does not read; {}", source,
                               quote_for_message(descr), advice(code)));
}

// Reads the one form of Python expression that a header is: a dictionary of the three keys, in any order.
class HeaderText {
 public:
  HeaderText(std::string_view text, std::string_view source) : text_(text), source_(source) {}

  NpyHeader parse() {
    NpyHeader header;
    take('{');
    while (!take_if('}')) {
      const std::string_view key = quoted();
      take(':');
      read_value(key, header);
      if (!take_if(',') && peek() != '}') wrong("a comma or }");
    }
    skip_blanks();
    if (at_ < text_.size()) wrong("nothing more");
    if (!has_descr_) refuse_array(source_, "its header has no 'descr'");
    if (!has_order_) refuse_array(source_, "its header has no 'fortran_order'");
    if (!has_shape_) refuse_array(source_, "its header has no 'shape'");
    header.dtype = dtype_of(descr_, source_);
    return header;
  }

 private:
  void read_value(std::string_view key, NpyHeader& header) {
    bool* seen = nullptr;
    if (key == "descr") seen = &has_descr_;
    if (key == "fortran_order") seen = &has_order_;
    if (key == "shape") seen = &has_shape_;
    if (seen == nullptr)
      refuse_array(source_, fmt::format("its header has an unknown key {}", quote_for_message(key)));
    if (std::exchange(*seen, true))
      refuse_array(source_, fmt::format("its header has {} twice", quote_for_message(key)));
    if (key == "descr") {
      descr_ = descr();
    } else if (key == "fortran_order") {
      header.fortran_order = boolean();
    } else {
      header.shape = shape();
    }
  }

  std::string_view descr() {
    skip_blanks();
    if (peek() == '[') {
      throw InputError(
          fmt::format("{} holds a structured array, which qvl does not read; save each field as an array of "
                      "its own",
                      source_));
    }
    return quoted();
  }

  bool boolean() {
    skip_blanks();
    for (const auto& [word, value] : {std::pair{std::string_view("True"), true}, {"False", false}}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    wrong("True or False");
  }

  Shape shape() {
    Shape shape;
    take('(');
    while (!take_if(')')) {
      if (shape.size() == kMaxNpyRank)
        refuse_array(source_, fmt::format("it has more than {} dimensions", kMaxNpyRank));
      shape.push_back(number());
      // (3) is a number in Python, not a shape.
      if (!take_if(',') && (shape.size() == 1 || peek() != ')')) wrong("a comma");
    }
    return shape;
  }

  std::int64_t number() {
    skip_blanks();
    std::int64_t value = 0;
    const std::size_t begin = at_;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, peek() - '0', &value))
        refuse_array(source_, "a dimension of its shape is too large");
    }
    if (at_ == begin) wrong("a number of 0 and more");
    if (peek() == 'L') ++at_;  // Python 2 wrote long numbers so
    return value;
  }

  std::string_view quoted() {
    skip_blanks();
    const char quote = peek();
    if (quote != '\'' && quote != '"') wrong("a text in quotes");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) wrong("a text in quotes that end");
    const std::string_view result = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return result;
  }

  void take(char c) {
    if (!take_if(c)) wrong(std::string_view(&c, 1));
  }
  bool take_if(char c) {
    skip_blanks();
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void skip_blanks() {
    while (peek() == ' ' || peek() == '\n' || peek() == '\t' || peek() == '\r') ++at_;
  }
  // NUL at the end.
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  [[noreturn]] void wrong(std::string_view expected) const {
    refuse_array(
        source_,
        fmt::format("its header has {} where {} is expected",
                    at_ < text_.size() ? quote_for_message(text_.substr(at_, 20)) : "its end", expected));
  }

  std::string_view text_;
  std::string_view source_;
  std::size_t at_ = 0;
  std::string_view descr_;
  bool has_descr_ = false;
  bool has_order_ = false;
  bool has_shape_ = false;
};

// Of the field that tells the header's length: 2 bytes in version 1, 4 from version 2 on.
std::size_t length_field_bytes(std::span<const std::byte> prefix, std::string_view source) {
  const std::string_view text(reinterpret_cast<const char*>(prefix.data()), prefix.size());
  if (!text.starts_with(kMagic)) refuse_array(source, "it does not begin with \\x93NUMPY");
  if (text.size() < kMagic.size() + 2) refuse_array(source, "it ends within its header");
  const int major = std::to_integer<int>(prefix[kMagic.size()]);
  const int minor = std::to_integer<int>(prefix[kMagic.size() + 1]);
  if (major < 1 || major > 3 || minor != 0) {
    refuse_array(source, fmt::format("it is of version {}.{}; 1.0, 2.0 and 3.0 are read", major, minor));
  }
  return major == 1 ? 2 : 4;
}

}  // namespace

std::uint64_t npy_header_bytes(std::span<const std::byte> prefix, std::string_view source) {
  const std::size_t field = length_field_bytes(prefix, source);
  const std::size_t before = kMagic.size() + 2 + field;
  if (prefix.size() < before) refuse_array(source, "it ends within its header");
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < field; ++i)
    length |= std::to_integer<std::uint64_t>(prefix[before - field + i]) << (8 * i);
  if (length > kMaxNpyHeaderBytes) {
    refuse_array(source,
                 fmt::format("its header of {} bytes is longer than the 1 MiB that are allowed", length));
  }
  return before + length;
}

NpyHeader parse_npy_header(std::span<const std::byte> header, std::string_view source) {
  const std::uint64_t length = npy_header_bytes(header, source);
  if (header.size() < length) refuse_array(source, "it ends within its header");
  const std::size_t before = kMagic.size() + 2 + length_field_bytes(header, source);
  const std::string_view text(reinterpret_cast<const char*>(header.data()) + before,
                              static_cast<std::size_t>(length) - before);
  NpyHeader result = HeaderText(text, source).parse();
  result.header_bytes = length;
  const std::optional<std::int64_t> count = element_count(result.shape);
  std::int64_t size = 0;
  if (!count || __builtin_mul_overflow(*count, static_cast<std::int64_t>(size_bytes(result.dtype)), &size)) {
    refuse_array(source, fmt::format("its shape {} is impossible", to_string(result.shape)));
  }
  result.data_bytes = static_cast<std::uint64_t>(size);
  return result;
}

}  // namespace qvl

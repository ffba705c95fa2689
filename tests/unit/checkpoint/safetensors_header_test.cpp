#include "checkpoint/safetensors_header.h"

#include <gtest/gtest.h>

#include "safetensors_bytes.h"
#include "support/error_text.h"

namespace qvl {
namespace {

using test::contains;
using test::input_error;
using test::json_object;
using test::safetensors_bytes;
using test::tensor_json;

SafetensorsHeader parse(const std::string& file) {
  return parse_safetensors_header(std::as_bytes(std::span(file)), "a.safetensors");
}
std::string error_of(const std::string& file) {
  return input_error([&] { (void)parse(file); });
}
// Of a file with this header and so many bytes of data.
std::string header_error(const std::string& header, std::size_t data_bytes) {
  return error_of(safetensors_bytes(header, data_bytes));
}

TEST(SafetensorsHeader, ListsTensorsInTheOrderOfTheirBytes) {
  const std::string header =
      json_object({tensor_json("b", "F32", "[2,1]", 4, 12), R"("__metadata__":{"format":"pt"})",
                   tensor_json("a", "BF16", "[2]", 0, 4), tensor_json("s", "BOOL", "[]", 12, 13),
                   tensor_json("none", "F64", "[3,0]", 4, 4)}) +
      "  ";
  const SafetensorsHeader parsed = parse(safetensors_bytes(header, 13));
  ASSERT_EQ(parsed.entries.size(), 4U);
  EXPECT_EQ(parsed.data_begin_bytes, 8 + header.size());
  EXPECT_EQ(parsed.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  EXPECT_EQ(parsed.entries[0].name, "a");
  EXPECT_EQ(parsed.entries[0].dtype, DType::bf16);
  EXPECT_EQ(parsed.entries[1].name, "none");
  EXPECT_EQ(parsed.entries[1].shape, (Shape{3, 0}));
  EXPECT_EQ(parsed.entries[2].name, "b");
  EXPECT_EQ(parsed.entries[2].shape, (Shape{2, 1}));
  EXPECT_EQ(parsed.entries[2].begin_bytes, parsed.data_begin_bytes + 4);
  EXPECT_EQ(parsed.entries[2].end_bytes, parsed.data_begin_bytes + 12);
  EXPECT_EQ(parsed.entries[3].shape, Shape{});
  EXPECT_EQ(parsed.entries[3].size_bytes(), 1U);
}

TEST(SafetensorsHeader, TakesAFileWithoutTensors) {
  EXPECT_TRUE(parse(safetensors_bytes("{}", 0)).entries.empty());
}

TEST(SafetensorsHeader, NullMetadataAreNone) {
  EXPECT_TRUE(parse(safetensors_bytes(R"({"__metadata__":null})", 0)).metadata.empty());
  EXPECT_TRUE(contains(header_error(R"({"a":null})", 0), "the entry \"a\" has null; an object is expected"));
}

TEST(SafetensorsHeader, RefusesAHeaderThatDoesNotFitTheFile) {
  EXPECT_TRUE(contains(error_of(""), "it has 0 bytes"));
  EXPECT_TRUE(contains(error_of("1234567"), "it has 7 bytes"));
  EXPECT_TRUE(contains(error_of(safetensors_bytes("{}", 0, 3)), "header of 3 bytes is longer than the file"));
  EXPECT_TRUE(contains(error_of(safetensors_bytes("{}", 0, ~std::uint64_t{1})), "100 MB"));
  EXPECT_TRUE(contains(error_of(safetensors_bytes("", 0, 0)), "does not begin with {"));
  EXPECT_TRUE(contains(error_of(safetensors_bytes(" {}", 0)), "does not begin with {"));
}

TEST(SafetensorsHeader, RefusesBrokenJson) {
  EXPECT_TRUE(contains(header_error("{", 0), "not valid JSON"));
  EXPECT_TRUE(contains(header_error("{}x", 0), "not valid JSON"));
  EXPECT_TRUE(contains(header_error("{\"\xff\":{}}", 0), "not valid JSON"));
  EXPECT_TRUE(contains(header_error("{\"a\":{\"shape\":[1e999]}}", 0), "not valid JSON"));
  EXPECT_FALSE(header_error(std::string(200000, '{'), 0).empty());
  EXPECT_FALSE(header_error(R"({"a":{"shape":)" + std::string(200000, '['), 0).empty());
}

TEST(SafetensorsHeader, RefusesOtherShapesOfJson) {
  EXPECT_TRUE(contains(header_error(R"({"a":5})", 0), "the entry \"a\" has 5; an object is expected"));
  EXPECT_TRUE(contains(header_error(R"({"a":[]})", 0), "an object is expected"));
  EXPECT_TRUE(contains(header_error(R"({"a":{}})", 0), "tensor \"a\" has no \"dtype\""));
  EXPECT_TRUE(contains(header_error(R"({"a":{"dtype":"F32","shape":[]}})", 0), "has no \"data_offsets\""));
  EXPECT_TRUE(contains(header_error(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4), "has no \"shape\""));
  EXPECT_TRUE(contains(header_error(R"({"a":{"dtype":32}})", 0), "\"dtype\" of tensor \"a\" has 32"));
  EXPECT_TRUE(
      contains(header_error(R"({"a":{"dtype":["F32"]}})", 0), "\"dtype\" of tensor \"a\" has a list"));
  EXPECT_TRUE(contains(header_error(R"({"a":{"shape":4}})", 0), "a list of numbers is expected"));
  EXPECT_TRUE(contains(header_error(R"({"a":{"shape":{}}})", 0), "a list of numbers is expected"));
  EXPECT_TRUE(contains(header_error(R"({"a":{"shape":[[1]]}})", 0), "the shape of tensor \"a\" has a list"));
  EXPECT_TRUE(contains(header_error(R"({"a":{"shape":["1"]}})", 0), "the shape of tensor \"a\" has \"1\""));
  EXPECT_TRUE(contains(header_error(R"({"a":{"shape":[null]}})", 0), "has null"));
  EXPECT_TRUE(contains(header_error(R"({"a":{"shape":[1.5]}})", 0), "has 1.5"));
  EXPECT_TRUE(contains(header_error(R"({"a":{"offset":[0,4]}})", 0), "unknown field \"offset\""));
  EXPECT_TRUE(contains(header_error(R"({"__metadata__":{"a":1}})", 0), "the metadata \"a\" has 1; a text"));
  EXPECT_TRUE(contains(header_error(R"({"__metadata__":{"a":{}}})", 0), "a text is expected"));
}

TEST(SafetensorsHeader, RefusesDuplicateNames) {
  const std::string a = tensor_json("a", "U8", "[1]", 0, 1);
  EXPECT_TRUE(contains(header_error(json_object({a, a}), 1), "tensor \"a\" occurs twice"));
  EXPECT_TRUE(contains(header_error(R"({"a":{"shape":[1],"shape":[1]}})", 1),
                       "\"shape\" of tensor \"a\" occurs twice"));
  EXPECT_TRUE(contains(header_error(R"({"__metadata__":{},"__metadata__":{}})", 0), "occurs twice"));
  EXPECT_TRUE(
      contains(header_error(R"({"__metadata__":{"x":"1","x":"2"}})", 0), "the metadata \"x\" occurs twice"));
}

TEST(SafetensorsHeader, RefusesBadOffsets) {
  const auto offsets = [](const std::string& text, std::size_t data_bytes) {
    return header_error(fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":{}}}}})", text),
                        data_bytes);
  };
  EXPECT_EQ(offsets("[0,4]", 4), "");
  EXPECT_TRUE(contains(offsets("[4,0]", 4), "begins at 4 and ends at 0"));
  EXPECT_TRUE(contains(offsets("[0,4]", 3), "ends at byte 4 of its data, which has only 3"));
  EXPECT_TRUE(contains(offsets("[0,18446744073709551615]", 4), "ends at byte 18446744073709551615"));
  EXPECT_TRUE(contains(offsets("[18446744073709551612,18446744073709551615]", 4), "cut off"));
  EXPECT_TRUE(contains(offsets("[-4,0]", 4), "data_offsets of tensor \"a\" has -4"));
  EXPECT_TRUE(contains(offsets("[0]", 4), "are not two numbers"));
  EXPECT_TRUE(contains(offsets("[0,4,4]", 4), "are not two numbers"));
  EXPECT_TRUE(contains(offsets("[]", 4), "are not two numbers"));
}

TEST(SafetensorsHeader, RefusesOverlapsAndHoles) {
  const std::string a = tensor_json("a", "U8", "[4]", 0, 4);
  EXPECT_EQ(header_error(json_object({a, tensor_json("b", "U8", "[4]", 4, 8)}), 8), "");
  EXPECT_TRUE(
      contains(header_error(json_object({a, tensor_json("b", "U8", "[4]", 3, 7)}), 7), "\"b\" overlaps"));
  EXPECT_TRUE(
      contains(header_error(json_object({a, tensor_json("b", "U8", "[4]", 0, 4)}), 4), "\"b\" overlaps"));
  EXPECT_TRUE(contains(header_error(json_object({a, tensor_json("b", "U8", "[4]", 5, 9)}), 9),
                       "1 bytes of no tensor before"));
  EXPECT_TRUE(contains(header_error(json_object({a, tensor_json("b", "U8", "[4]", 4, 8)}), 9),
                       "1 bytes of no tensor at its"));
  EXPECT_TRUE(contains(header_error("{}", 3), "3 bytes of no tensor at its end"));
}

TEST(SafetensorsHeader, RefusesShapesThatDoNotFitTheBytes) {
  const auto shape = [](const std::string& text) {
    return header_error(json_object({tensor_json("a", "F32", text, 0, 16)}), 16);
  };
  EXPECT_EQ(shape("[2,2]"), "");
  EXPECT_TRUE(contains(shape("[2,3]"), "has 16 bytes; [2, 3] of F32 take 24"));
  EXPECT_TRUE(contains(shape("[-2,-2]"), "the shape of tensor \"a\" has -2"));
  EXPECT_TRUE(contains(shape("[9223372036854775808]"), "has 9223372036854775808"));
  EXPECT_TRUE(contains(shape("[9223372036854775807]"), "impossible shape") ||
              contains(shape("[9223372036854775807]"), "take"));
  EXPECT_TRUE(contains(shape("[4294967296,4294967296]"), "impossible shape"));
  // 2^62 elements of 4 bytes wrap around to 0.
  EXPECT_TRUE(contains(header_error(json_object({tensor_json("a", "F32", "[4611686018427387904]", 0, 0)}), 0),
                       "impossible"));
  std::string many = "[1";
  for (int i = 0; i < 40; ++i) many += ",1";
  EXPECT_TRUE(contains(shape(many + "]"), "more than 32 dimensions"));
}

TEST(SafetensorsHeader, NamesTensorAndTypeThatItDoesNotRead) {
  const std::string error = header_error(json_object({tensor_json("x.weight", "F8_E4M3", "[4]", 0, 4)}), 4);
  EXPECT_TRUE(contains(error, "\"x.weight\"")) << error;
  EXPECT_TRUE(contains(error, "\"F8_E4M3\"")) << error;
}

TEST(SafetensorsHeader, KeepsMessagesShort) {
  const std::string name(1000000, 'n');
  EXPECT_LT(header_error(json_object({tensor_json(name, "F32", "[4]", 0, 4)}), 4).size(), 500U);
  EXPECT_LT(header_error(fmt::format(R"({{"a":{{"shape":["{}"]}}}})", name), 4).size(), 500U);
}

}  // namespace
}  // namespace qvl

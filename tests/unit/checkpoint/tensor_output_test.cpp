#include "checkpoint/tensor_output.h"

#include <gtest/gtest.h>

#include <array>

#include "checkpoint/safetensors_writer.h"
#include "checkpoint/tensor_file.h"
#include "qvl/error.h"
#include "support/test_data.h"
#include "unit/checkpoint/npz_bytes.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

class ResultPlace : public testing::Test {
 protected:
  // What it is refused with; "" when it is taken. "usage: " goes before what a UsageError says.
  [[nodiscard]] std::string refused(const fs::path& place) const {
    try {
      require_result_place(place, "--out", std::array{input_});
    } catch (const UsageError& error) {
      return std::string("usage: ") + error.what();
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }
  void write_tensors(const fs::path& place, const std::map<std::string, std::string>& metadata) const {
    const std::array<float, 2> numbers{1, 2};
    const std::vector<NamedTensor> tensors{{"x", {DType::f32, {2}, std::as_bytes(std::span(numbers))}}};
    write_safetensors(place, tensors, metadata);
  }

  const test::TemporaryFolder folder_;
  const fs::path input_ = folder_.path() / "in.safetensors";
};

TEST_F(ResultPlace, IsNeverAnInput) {
  write_tensors(input_, result_metadata());
  fs::create_symlink(input_, folder_.path() / "link");
  fs::create_hard_link(input_, folder_.path() / "twin");
  for (const char* name : {"in.safetensors", "link", "twin", "./in.safetensors"}) {
    const fs::path place = folder_.path() / name;
    EXPECT_EQ(refused(place), "usage: --out " + place.string() + " is an input itself");
  }
}

TEST_F(ResultPlace, ReplacesResultsOnly) {
  const fs::path place = folder_.path() / "out.safetensors";
  EXPECT_EQ(refused(place), "");
  test::write_file(place, "");  // as mktemp makes it
  EXPECT_EQ(refused(place), "");
  write_tensors(place, result_metadata());
  EXPECT_EQ(refused(place), "");
  write_tensors(place, {{"format", "pt"}});  // weights
  const std::string words = place.string() +
                            " is there and was not written by this command; choose another name, "
                            "or remove it first";
  EXPECT_EQ(refused(place), words);
  test::write_file(place, "my notes");
  EXPECT_EQ(refused(place), words);
  fs::remove(place);
  fs::create_directory(place);
  EXPECT_NE(refused(place).find("it is there and is not a regular file"), std::string::npos);
  EXPECT_NE(refused("/dev/null").find("it is there and is not a regular file"), std::string::npos);
  EXPECT_NE(refused(folder_.path() / "none" / "x").find("there is no folder"), std::string::npos);
}

TEST(TensorFile, IsReadInEitherFormat) {
  const test::TemporaryFolder folder;
  const std::array<float, 2> numbers{1, 2};
  const std::string bytes(reinterpret_cast<const char*>(numbers.data()), sizeof(numbers));
  const std::string npz = test::zip_bytes(
      {{"x.npy", test::npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", bytes)}});
  const std::vector<NamedTensor> tensors{{"x", {DType::f32, {2}, std::as_bytes(std::span(numbers))}}};
  write_safetensors(folder.path() / "a.safetensors", tensors);
  for (const char* name : {"a.npz", "an-archive", "a.safetensors"}) {
    const fs::path path = folder.path() / name;
    if (!fs::exists(path)) test::write_file(path, npz);
    const auto read = read_tensor_file(path);
    ASSERT_EQ(read.size(), 1U) << name;
    EXPECT_EQ(read[0].first, "x");
    EXPECT_EQ(read[0].second.shape(), Shape{2});
    EXPECT_EQ(read[0].second.as<float>()[1], 2.0F);
  }
  test::write_file(folder.path() / "b.npz", "no archive");
  EXPECT_THROW((void)read_tensor_file(folder.path() / "b.npz"), InputError);
  EXPECT_THROW((void)read_tensor_file(folder.path() / "none"), InputError);
}

}  // namespace
}  // namespace qvl

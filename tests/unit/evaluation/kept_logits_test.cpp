#include "evaluation/kept_logits.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

Tensor rows(std::int64_t count, float first) {
  Tensor tensor(DType::f32, {count, 3});
  for (float& value : tensor.as<float>()) value = first++;
  return tensor;
}

// TMPDIR of this process, and what it was afterwards.
class TemporaryFolderOf {
 public:
  explicit TemporaryFolderOf(const std::string& folder) {
    if (const char* old = ::getenv("TMPDIR")) old_ = old;
    ::setenv("TMPDIR", folder.c_str(), 1);
  }
  ~TemporaryFolderOf() { old_.empty() ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", old_.c_str(), 1); }

 private:
  std::string old_;
};

TEST(KeptLogits, InMemoryAndBeyond) {
  const test::TemporaryFolder folder;
  const TemporaryFolderOf place(folder.path());
  KeptLogits kept(3 * 3 * sizeof(float));
  kept.add(rows(2, 0));    // fits
  kept.add(rows(4, 100));  // does not
  kept.add(rows(1, 200));  // fits
  kept.add(rows(1, 300));  // does not any more
  EXPECT_EQ(kept.size(), 4U);
  EXPECT_EQ(kept.file_bytes(), (4 + 1) * 3 * sizeof(float));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));  // the file has no name
  const std::vector<std::pair<std::int64_t, float>> added{{2, 0}, {4, 100}, {1, 200}, {1, 300}};
  for (const std::size_t i : {3U, 0U, 1U, 2U, 1U}) {
    const Tensor expected = rows(added[i].first, added[i].second);
    const Tensor found = kept.at(i);
    EXPECT_EQ(found.shape(), expected.shape());
    EXPECT_TRUE(std::ranges::equal(found.as<float>(), expected.as<float>())) << i;
  }
}

TEST(KeptLogits, SayWhereTheyCannotBeKept) {
  const test::TemporaryFolder folder;
  std::filesystem::path gone;
  {
    const test::TemporaryFolder other;
    gone = other.path();
  }
  const TemporaryFolderOf place(gone);
  KeptLogits kept(0);
  EXPECT_THROW(kept.add(rows(1, 0)), MachineError);
  KeptLogits roomy(1000);
  EXPECT_NO_THROW(roomy.add(rows(1, 0)));
}

}  // namespace
}  // namespace qvl

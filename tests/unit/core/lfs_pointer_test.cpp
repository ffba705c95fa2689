#include "core/lfs_pointer.h"

#include <gtest/gtest.h>

#include <string>

#include "core/json_text.h"
#include "core/mapped_file.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

const std::string kPointerText =
    "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, '0') + "\nsize 12\n";

bool is_pointer(const std::string& text) { return is_lfs_pointer(std::as_bytes(std::span(text))); }

TEST(LfsPointer, IsToldFromOtherTexts) {
  EXPECT_TRUE(is_pointer(kPointerText));
  EXPECT_FALSE(is_pointer(""));
  EXPECT_FALSE(is_pointer("version https://git-lfs.github.com/spec/v1"));
  EXPECT_FALSE(is_pointer(" " + kPointerText));
  EXPECT_FALSE(is_pointer(kPointerText + std::string(1024, ' ')));
}

TEST(LfsPointer, EveryReaderOfFilesNamesIt) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "tokenizer.json";
  test::write_file(file, kPointerText);
  for (const auto& read : std::vector<std::function<void()>>{[&] { (void)MappedFile(file); },
                                                             [&] { (void)read_json_file(file); },
                                                             [&] { refuse_lfs_pointer(file); }}) {
    try {
      read();
      ADD_FAILURE() << "no error";
    } catch (const InputError& error) {
      EXPECT_EQ(error.what(), file.string() +
                                  " is a git-lfs pointer, not the file itself: run `git lfs pull` in "
                                  "that folder");
    }
  }
  refuse_lfs_pointer(folder.path() / "missing");
  test::write_file(file, "{}");
  refuse_lfs_pointer(file);
}

}  // namespace
}  // namespace qvl

#include "sensitivity/measurement_store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <functional>
#include <limits>
#include <thread>

#include "support/error_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::input_error;

const std::string kModel(64, 'a');
const std::string kOther(64, 'b');

MeasurementKey key(int i) {
  return {"sample", "/layers." + std::to_string(i) + "/MatMul", "int8", "local", ""};
}

std::vector<double> numbers(int i) { return {static_cast<double>(i), i / 7.0}; }

class Store : public testing::Test {
 protected:
  [[nodiscard]] fs::path file(const std::string& name = "measurements.sqlite") const {
    return folder_.path() / name;
  }
  // The message of the InputError on opening.
  [[nodiscard]] std::string open_error(const std::string& name = "measurements.sqlite") const {
    return input_error([&] { MeasurementStore(file(name), kModel, "mine.onnx"); });
  }
  void sql(const std::string& text, const std::string& name = "measurements.sqlite") const {
    sqlite3* database = nullptr;
    sqlite3_open(file(name).c_str(), &database);
    EXPECT_EQ(sqlite3_exec(database, text.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  // SQLite's own check of every page and index.
  void expect_whole() const {
    sqlite3* database = nullptr;
    sqlite3_open(file().c_str(), &database);
    std::string result;
    sqlite3_exec(
        database, "PRAGMA integrity_check",
        [](void* text, int, char** columns, char**) {
          *static_cast<std::string*>(text) += columns[0];
          return 0;
        },
        &result, nullptr);
    sqlite3_close(database);
    EXPECT_EQ(result, "ok");
  }

 private:
  test::TemporaryFolder folder_;
};

// Runs `work` in a process of its own, which writes a byte to the pipe for each step that it has done, until
// it has done so many, and kills it then.
class DoomedProcess {
 public:
  explicit DoomedProcess(const std::function<void(const std::function<void()>& done)>& work) {
    if (pipe(pipe_.data()) != 0) throw std::runtime_error("no pipe");
    child_ = fork();
    if (child_ == 0) {
      try {
        work([&] {
          if (write(pipe_[1], "x", 1) != 1) _exit(1);
        });
      } catch (...) {
        _exit(2);
      }
      pause();
      _exit(0);
    }
    close(pipe_[1]);
  }
  ~DoomedProcess() {
    kill();
    close(pipe_[0]);
  }
  // Waits for the next step.
  [[nodiscard]] bool step() const {
    char c = 0;
    return read(pipe_[0], &c, 1) == 1;
  }
  void kill() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    int status = 0;
    waitpid(child_, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the process ended by itself, with " << WEXITSTATUS(status);
    child_ = 0;
  }
  // Steps that were done before the kill, and not yet waited for.
  [[nodiscard]] int rest() const {
    int count = 0;
    while (step()) ++count;
    return count;
  }

 private:
  std::array<int, 2> pipe_{};
  pid_t child_ = 0;
};

TEST_F(Store, KeepsNumbersToTheBit) {
  const std::vector<double> odd{0.1, -0.0, std::numeric_limits<double>::denorm_min(),
                                std::numeric_limits<double>::infinity(),
                                std::bit_cast<double>(std::uint64_t{0x7ff8dead00000001})};
  const auto same = [&](const std::optional<std::vector<double>>& found) {
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), odd.size());
    for (std::size_t i = 0; i < odd.size(); ++i)
      EXPECT_EQ(std::bit_cast<std::uint64_t>((*found)[i]), std::bit_cast<std::uint64_t>(odd[i]));
  };
  {
    MeasurementStore store(file(), kModel, "mine.onnx");
    EXPECT_EQ(store.size(), 0);
    EXPECT_FALSE(store.has(key(1)));
    EXPECT_FALSE(store.find(key(1)));
    store.put(key(1), odd);
    store.put(key(2), {});
    EXPECT_TRUE(store.has(key(1)));
    same(store.find(key(1)));
  }
  const MeasurementStore store(file(), kModel, "another name");
  same(store.find(key(1)));
  EXPECT_EQ(store.find(key(2)), std::vector<double>());
  EXPECT_FALSE(store.has(key(3)));
  EXPECT_EQ(store.size(), 2);
}

TEST_F(Store, EveryPartOfAKeyCounts) {
  MeasurementStore store(file(), kModel, "mine.onnx");
  const MeasurementKey base{"s", "u", "f", "k", "c"};
  const std::array<MeasurementKey, 7> keys{base,
                                           {"x", "u", "f", "k", "c"},
                                           {"s", "x", "f", "k", "c"},
                                           {"s", "u", "x", "k", "c"},
                                           {"s", "u", "f", "x", "c"},
                                           {"s", "u", "f", "k", "x"},
                                           {"u", "s", "k", "f", ""}};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    EXPECT_FALSE(store.has(keys[i])) << i;
    store.put(keys[i], numbers(static_cast<int>(i)));
  }
  for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(store.find(keys[i]), numbers(static_cast<int>(i)));
  store.put(base, numbers(9));
  EXPECT_EQ(store.find(base), numbers(9));
  EXPECT_EQ(store.size(), 7);
}

TEST_F(Store, Settings) {
  {
    MeasurementStore store(file(), kModel, "mine.onnx");
    EXPECT_FALSE(store.setting("formats"));
    store.set_setting("formats", "int8");
    store.set_setting("formats", "int8 int4:32");
    store.set_setting("empty", "");
    EXPECT_EQ(store.setting("formats"), "int8 int4:32");
  }
  const MeasurementStore store(file(), kModel, "mine.onnx");
  EXPECT_EQ(store.setting("formats"), "int8 int4:32");
  EXPECT_EQ(store.setting("empty"), "");
  EXPECT_EQ(store.size(), 0);
}

TEST_F(Store, RefusesFilesThatAreNotItsOwn) {
  {
    const MeasurementStore store(file(), kOther, "other.onnx");
  }
  const std::string model = open_error();
  EXPECT_TRUE(contains(model, "other.onnx (sha256 " + kOther) &&
              contains(model, "mine.onnx (sha256 " + kModel))
      << model;
  sql("PRAGMA user_version = 7");
  EXPECT_TRUE(contains(open_error(), "has layout 7, this qvl knows layout 1"));

  test::write_file(
      file("text.sqlite"),
      "this is a text of no meaning at all, but longer than a header of SQLite: " + std::string(100, 'x'));
  EXPECT_TRUE(contains(open_error("text.sqlite"), "is not a SQLite database"));
  sql("CREATE TABLE things(x)", "things.sqlite");
  const std::string before = test::read_file(file("things.sqlite"));
  EXPECT_TRUE(contains(open_error("things.sqlite"), "not one of qvl's measurements"));
  EXPECT_EQ(test::read_file(file("things.sqlite")), before);

  EXPECT_TRUE(contains(open_error("none/x.sqlite"), "there is no folder"));
  fs::create_directory(file("folder"));
  EXPECT_TRUE(contains(open_error("folder"), "not a regular file"));
}

TEST_F(Store, SaysThatAFileIsDamaged) {
  {
    MeasurementStore store(file(), kModel, "mine.onnx");
    for (int i = 0; i < 1000; ++i) store.put(key(i), numbers(i));
  }
  const std::string good = test::read_file(file());
  std::string bytes = good;
  for (std::size_t at = 4096; at < bytes.size(); ++at) bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
  test::write_file(file(), bytes);
  EXPECT_TRUE(contains(open_error(), "is damaged")) << open_error();

  test::write_file(file(), good);
  sql("UPDATE measurement SET numbers = x'00112233'");
  const MeasurementStore store(file(), kModel, "mine.onnx");
  EXPECT_TRUE(contains(input_error([&] { (void)store.find(key(1)); }), "numbers of 4 bytes"));
  EXPECT_TRUE(store.has(key(2)));
}

TEST_F(Store, ASecondProcessIsToldThatTheFileIsInUse) {
  DoomedProcess first([&](const std::function<void()>& done) {
    MeasurementStore store(file(), kModel, "mine.onnx");
    done();
    pause();
  });
  ASSERT_TRUE(first.step());
  EXPECT_TRUE(contains(open_error(), "is in use by another process")) << open_error();
  MeasurementStore merged(file("merged.sqlite"), kModel, "mine.onnx");
  EXPECT_TRUE(contains(input_error([&] { merged.merge_from(file()); }), "is in use by another process"));
  first.kill();
  EXPECT_EQ(open_error(), "");
}

TEST_F(Store, AKilledProcessLosesWhatItHasNotFlushed) {
  DoomedProcess process([&](const std::function<void()>& done) {
    MeasurementStore store(file(), kModel, "mine.onnx");
    for (int i = 0; i < 50; ++i) store.put(key(i), numbers(i));
    store.flush();
    store.set_setting("late", "yes");
    store.put(key(0), numbers(9999));
    // More than is kept in memory: some of it is in the file when the process dies.
    const std::vector<double> many(4096, 1.0);
    for (int i = 50; i < 1000; ++i) store.put(key(i), many);
    done();
    pause();
  });
  ASSERT_TRUE(process.step());
  process.kill();
  ASSERT_GT(fs::file_size(file()), 10'000'000U);
  {
    const MeasurementStore store(file(), kModel, "mine.onnx");
    EXPECT_EQ(store.size(), 50);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(store.find(key(i)), numbers(i));
    EXPECT_FALSE(store.has(key(50)));
    EXPECT_FALSE(store.setting("late"));
  }
  expect_whole();
}

// At any time, among them the middle of a flush.
TEST_F(Store, AKilledProcessLeavesWholeFlushes) {
  constexpr int kBatch = 20;
  int batches = 0;  // that the file must have
  for (int round = 0; round < 25; ++round) {
    DoomedProcess process([&](const std::function<void()>& done) {
      MeasurementStore store(file(), kModel, "mine.onnx");
      for (auto batch = static_cast<int>(store.size()) / kBatch;; ++batch) {
        for (int i = 0; i < kBatch; ++i) store.put(key(batch * kBatch + i), numbers(batch));
        store.flush();
        done();
      }
    });
    ASSERT_TRUE(process.step());
    ++batches;
    std::this_thread::sleep_for(std::chrono::microseconds(round * 731));
    process.kill();
    batches += process.rest();
    const MeasurementStore store(file(), kModel, "mine.onnx");
    ASSERT_EQ(store.size() % kBatch, 0);
    // One more when the process was killed between flush and report.
    ASSERT_GE(store.size() / kBatch, batches);
    ASSERT_LE(store.size() / kBatch, batches + 1);
    batches = static_cast<int>(store.size()) / kBatch;
  }
  expect_whole();
  const MeasurementStore store(file(), kModel, "mine.onnx");
  for (int i = 0; i < batches * kBatch; ++i) ASSERT_EQ(store.find(key(i)), numbers(i / kBatch)) << i;
}

TEST_F(Store, MergesShards) {
  for (int shard = 0; shard < 3; ++shard) {
    MeasurementStore store(file(std::to_string(shard)), kModel, "mine.onnx");
    for (int i = shard; i < 30; i += 3) store.put(key(i), numbers(i));
    store.put(key(100), numbers(100));  // in all of them, and the same
  }
  MeasurementStore merged(file(), kModel, "mine.onnx");
  merged.put(key(0), numbers(0));
  for (int shard = 0; shard < 3; ++shard) merged.merge_from(file(std::to_string(shard)));
  EXPECT_EQ(merged.size(), 31);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(merged.find(key(i)), numbers(i));
  EXPECT_EQ(merged.find(key(100)), numbers(100));
}

TEST_F(Store, MergesAllOrNothing) {
  {
    MeasurementStore store(file("shard"), kModel, "mine.onnx");
    for (int i = 0; i < 10; ++i) store.put(key(i), numbers(i));
  }
  {
    const MeasurementStore store(file("other"), kOther, "other.onnx");
  }
  {
    MeasurementStore merged(file(), kModel, "mine.onnx");
    merged.put(key(9), numbers(8));  // the last of the shard is another
    const std::string error = input_error([&] { merged.merge_from(file("shard")); });
    EXPECT_TRUE(
        contains(error, "have different numbers (local) of unit /layers.9/MatMul in int8 for sample sample"))
        << error;
    EXPECT_EQ(merged.size(), 1);
    EXPECT_FALSE(merged.has(key(1)));
    EXPECT_TRUE(
        contains(input_error([&] { merged.merge_from(file("other")); }), "holds measurements of other.onnx"));
    EXPECT_TRUE(contains(input_error([&] { merged.merge_from(file("none")); }), "there is no file"));
    EXPECT_TRUE(contains(input_error([&] { merged.merge_from(file()); }), "into itself"));
    // What was put before and after is not lost, and texts that were rolled back are known to be new.
    merged.put(key(1), numbers(11));
  }
  const MeasurementStore merged(file(), kModel, "mine.onnx");
  EXPECT_EQ(merged.size(), 2);
  EXPECT_EQ(merged.find(key(9)), numbers(8));
  EXPECT_EQ(merged.find(key(1)), numbers(11));
}

TEST_F(Store, MergesWhatAKilledProcessLeft) {
  DoomedProcess process([&](const std::function<void()>& done) {
    MeasurementStore store(file("shard"), kModel, "mine.onnx");
    store.put(key(1), numbers(1));
    store.flush();
    const std::vector<double> many(4096, 1.0);
    for (int i = 2; i < 1000; ++i) store.put(key(i), many);
    done();
    pause();
  });
  ASSERT_TRUE(process.step());
  process.kill();
  MeasurementStore merged(file(), kModel, "mine.onnx");
  merged.merge_from(file("shard"));
  EXPECT_EQ(merged.size(), 1);
  EXPECT_EQ(merged.find(key(1)), numbers(1));
}

TEST_F(Store, SeveralThreadsPut) {
  {
    MeasurementStore store(file(), kModel, "mine.onnx");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&store, t] {
        for (int i = t; i < 2000; i += 4) {
          store.put(key(i), numbers(i));
          if (i % 100 == t) store.flush();
          EXPECT_EQ(store.find(key(i)), numbers(i));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  const MeasurementStore store(file(), kModel, "mine.onnx");
  EXPECT_EQ(store.size(), 2000);
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(store.find(key(i)), numbers(i)) << i;
}

// A limit on the size of files stands in for a full disk.
TEST_F(Store, AFullDiskIsTheMachinesFault) {
  {
    MeasurementStore store(file(), kModel, "mine.onnx");
    store.put(key(0), numbers(0));
  }
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(9);
    int result = 1;
    try {
      MeasurementStore store(file(), kModel, "mine.onnx");
      try {
        for (int i = 0; i < 10'000; ++i) store.put(key(i), numbers(i));
        store.flush();
      } catch (const MachineError& error) {
        result = contains(error.what(), "measurements.sqlite") ? 0 : 2;
      }
      // It goes on with what fits.
      store.put(MeasurementKey{"after", "", "", "", ""}, numbers(1));
      store.flush();
    } catch (...) {
      result = 3;
    }
    _exit(result);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  const MeasurementStore store(file(), kModel, "mine.onnx");
  EXPECT_EQ(store.find(key(0)), numbers(0));
}

}  // namespace
}  // namespace qvl

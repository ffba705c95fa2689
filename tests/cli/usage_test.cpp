// What qvl says to a command line that is wrong.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "cli/program.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

struct WrongLine {
  std::vector<std::string> arguments;
  std::string words;  // what stderr begins with, behind "qvl: "
};

void expect_words(const std::vector<WrongLine>& lines) {
  for (const WrongLine& line : lines) {
    const auto result = test::qvl(line.arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_EQ(result.out, "") << line.words;
    EXPECT_TRUE(result.err.starts_with("qvl: " + line.words + "\n")) << result.err << "not: " << line.words;
    EXPECT_LT(result.err.size(), 400U) << result.err;
  }
}

TEST(Usage, CommandsThatThereAreNot) {
  expect_words({{{"exprot", "x", "--out", "y"}, "there is no command exprot; did you mean export?"},
                {{"convert"}, "there is no command convert; did you mean export?"},
                {{"quantise", "--format", "int8"}, "there is no command quantise; did you mean quantize?"},
                {{"help"}, "there is no command help; `qvl --help` helps"},
                {{"bench", "vison", "x"}, "there is no command vison; did you mean vision?"}});
  const auto none = test::qvl({"frobnicate"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_TRUE(none.err.starts_with("qvl: there is no command frobnicate; there are export, run, "))
      << none.err;
  const auto nothing = test::qvl({});
  EXPECT_EQ(nothing.exit_code, 2);
  EXPECT_TRUE(nothing.err.starts_with("qvl: a command is missing: export, run, ")) << nothing.err;
}

TEST(Usage, OptionsThatThereAreNotInTheirOrder) {
  expect_words(
      {{{"export", "x", "--out", "y", "--image_size", "56", "--zzz", "--onyl", "text"},
        "unknown option --image_size (did you mean --image-size?); unexpected argument 56; unknown option "
        "--zzz; "
        "unknown option --onyl (did you mean --only?); unexpected argument text"},
       {{"run", "x", "--prompt", "y", "--max-tokens=3"},
        "unknown option --max-tokens (did you mean --max-new-tokens?)"},
       {{"infer", "m.onnx", "--input", "a", "--outputs", "b"},
        "unknown option --input (did you mean --inputs?); unexpected argument a; --inputs is missing"},
       {{"synth", "-o", "x", "--preset", "3b"},
        "unknown option -o (did you mean --out?); unexpected argument x; --out is missing"},
       {{"--threads", "2", "export", "x"},
        "--threads before the command export: what a command takes comes behind it; 2 before the command "
        "export: "
        "what a command takes comes behind it"}});
}

TEST(Usage, EveryMissingArgumentIsNamed) {
  expect_words({{{"infer"}, "MODEL and --inputs and --outputs are missing"},
                {{"preprocess", "x"}, "PICTURE and --out are missing"},
                {{"verify"}, "FOLDER is missing"},
                {{"inspect"}, "PATH is missing"},
                {{"evaluate"}, "FOLDER and --data are missing"},
                {{"sensitivity", "merge"}, "OUT and SHARD are missing"},
                {{"plan", "report"}, "--budget and --out are missing"},
                {{"plan", "report", "--budget", "--out", "x"}, "--budget needs a value"},
                {{"sensitivity", "x"}, "--data and --out are missing"},
                {{"bench", "sensitivity", "x"}, "--data is missing"},
                {{"quantize", "x"}, "--plan or --format and --out are missing"},
                {{"run", "x"}, "--prompt is missing"},
                {{"run", "x", "--prompt"}, "--prompt needs a value"}});
}

// As when a script's variable is not set.
TEST(Usage, EmptyValuesAreMissingOnes) {
  expect_words({{{"inspect", ""}, "PATH is empty; a value is expected"},
                {{"export", "", "--out", "y"}, "CHECKPOINT is empty; a value is expected"},
                {{"export", "x", "--out", ""}, "--out is empty; a value is expected"},
                {{"run", "", "--prompt", "x"}, "FOLDER is empty; a value is expected"},
                {{"tokenize", "", "x"}, "SOURCE is empty; a value is expected"},
                {{"evaluate", "x", "", "--data", "y"}, "FOLDER is empty; a value is expected"}});
  const auto text = test::qvl({"tokenize", test::demo_checkpoint(), ""});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_EQ(text.out, "{\"ids\":[],\"tokens\":[]}\n");
}

TEST(Usage, ValuesThatCannotBe) {
  expect_words(
      {{{"run", "x", "--prompt", "y", "--threads", "-1"},
        "--threads takes a whole number, 0 to 4096; -1 is given"},
       {{"run", "x", "--prompt", "y", "--threads", "5000"},
        "--threads takes a whole number, 0 to 4096; 5000 is given"},
       {{"run", "x", "--prompt", "y", "--threads", "2.5"},
        "--threads takes a whole number, 0 to 4096; 2.5 is given"},
       {{"run", "x", "--prompt", "y", "--threads", "all"},
        "--threads takes a whole number, 0 to 4096; all is given"},
       {{"evaluate", "x", "--data", "y", "--samples", "-1"},
        "--samples takes a whole number, 0 or more; -1 is given"},
       {{"evaluate", "x", "--data", "y", "--samples", "99999999999999999999"},
        "--samples takes a whole number, 0 or more; 99999999999999999999 is given"},
       {{"synth", "--preset", "3b", "--out", "x", "--layers", "0"},
        "--layers takes a whole number, 1 or more; 0 is given"},
       {{"bench", "image", "--runs", "0"}, "--runs takes a whole number, 1 to 10000; 0 is given"},
       {{"run", "x", "--prompt", "y", "--provider", "tpu"}, "--provider takes cpu or cuda; tpu is given"},
       {{"export", "x", "--set", "serving"}, "--set takes reference; serving is given"},
       {{"infer", "a", "--inputs", "b", "--inputs", "c", "--outputs", "d"},
        "--inputs is given 2 times; once is expected"}});
}

TEST(Usage, SizesNeedTheirUnit) {
  const auto quantize = [](const std::string& memory) {
    return test::qvl({"quantize", "/none.onnx", "--format", "int8", "--out", "/none", "--memory", memory});
  };
  for (const std::string memory : {"4", "900", "1.5"}) {
    const auto result = quantize(memory);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_NE(result.err.find("a size with its unit is expected (" + memory + "GiB, " + memory + "MB)"),
              std::string::npos)
        << result.err;
  }
  for (const std::string memory :
       {"4 parsecs", "GiB", "-1GB", "0", "nan", "infGB", "0x10MB", "4G", "1e300TB"}) {
    const auto result = quantize(memory);
    EXPECT_EQ(result.exit_code, 2) << memory;
    EXPECT_TRUE(
        result.err.starts_with("qvl: --memory " + memory + ": a size such as 4GiB or 500MB is expected"))
        << result.err;
  }
  // Understood: what is wrong then is the model.
  for (const std::string memory : {"900mb", "1TB", "1tb", "4GiB", "4gib", "1.5 GB", "2000000", "2tib"}) {
    const auto result = quantize(memory);
    EXPECT_EQ(result.exit_code, 3) << memory << ": " << result.err;
  }
}

// A user of whom one process may run has no second thread. The kernel lets root have what it wants, so
// another user asks.
TEST(Usage, ThreadsThatCannotBeHadAreTheMachinesFault) {
  std::vector<std::string> command{"prlimit", "--nproc=1"};
  if (geteuid() == 0) command.insert(command.begin(), {"setpriv", "--reuid=54321", "--clear-groups"});
  command.insert(command.end(),
                 {test::program().string(), "bench", "image", "--runs", "1", "--limits-seconds", "0"});
  const auto result = test::run_command(command);
  if (result.exit_code == 127 || result.err.starts_with("setpriv") || result.err.starts_with("prlimit"))
    GTEST_SKIP() << "no other user can be: " << result.err;
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_NE(result.err.find("no more threads can be had"), std::string::npos) << result.err;
}

// In words, with the path and what would be right.
TEST(Usage, TroubleOfTheFileSystemIsToldInWords) {
  const test::TemporaryFolder folder;
  const std::string long_name(300, 'x');
  struct Case {
    std::vector<std::string> arguments;
    std::string words;
  };
  for (const Case& c : std::vector<Case>{
           {{"tokenize", long_name, "x"}, "cannot use " + long_name + ": File name too long"},
           {{"preprocess", test::demo_checkpoint(), "x", "--out", "/proc/none/x"},
            "cannot write /proc/none/x: there is no folder /proc/none"},
           {{"export", test::demo_checkpoint(), "--out", "/proc/none"}, "cannot write /proc/none: "}}) {
    const auto result = test::qvl(c.arguments);
    EXPECT_EQ(result.exit_code, 3) << result.err;
    EXPECT_TRUE(result.err.starts_with("qvl: " + c.words)) << result.err;
    EXPECT_EQ(result.err.find("filesystem error"), std::string::npos) << result.err;
  }
}

}  // namespace
}  // namespace qvl

// The numbers that were measured for one model, in a file that outlives the run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qvl {

// What numbers are of. Any texts; "" where a part does not apply.
struct MeasurementKey {
  std::string sample;   // its SHA-256
  std::string unit;     // the node's name
  std::string format;   // "int8", "int4:32", …
  std::string kind;     // which numbers they are
  std::string context;  // what else they depend on, as a hash of the calibration
};

// Which model a store is of.
struct MeasuredModel {
  std::string sha256;
  std::string name;
};

// A SQLite file. All methods may be called by several threads at once. They throw as SqliteDatabase does;
// after an error of put(), set_setting() or flush() what was not flushed may be lost.
class MeasurementStore {
 public:
  // Throws InputError as the constructor does for what is no store.
  [[nodiscard]] static MeasuredModel model_of(const std::filesystem::path& path);

  // Opens the file, or makes it in a folder that is there. `model_sha256` says which model is measured;
  // `model_name` is for messages. Throws InputError when the file is of another model (both are named), of
  // another layout, is no database or one of another kind, or is in use: one process at a time has it.
  MeasurementStore(const std::filesystem::path& path, std::string_view model_sha256,
                   std::string_view model_name);
  // Flushes; errors are lost, so that flush() should come before.
  ~MeasurementStore();
  MeasurementStore(const MeasurementStore&) = delete;
  MeasurementStore& operator=(const MeasurementStore&) = delete;

  // What was put, to the bit.
  [[nodiscard]] std::optional<std::vector<double>> find(const MeasurementKey& key) const;
  [[nodiscard]] bool has(const MeasurementKey& key) const;
  // Found at once; kept from the next flush() on. Numbers of an equal key are replaced.
  void put(const MeasurementKey& key, std::span<const double> numbers);
  // In one transaction: a process killed at any time leaves the file as one of its flushes made it.
  void flush();

  // Puts everything of another store of the same model here, or nothing. Throws InputError when both have a
  // key with numbers that differ, and what the constructor throws. Settings are not merged.
  void merge_from(const std::filesystem::path& other);

  // Free text by name, kept as measurements are.
  [[nodiscard]] std::optional<std::string> setting(std::string_view name) const;
  void set_setting(std::string_view name, std::string_view value);

  // Of measurements.
  [[nodiscard]] std::int64_t size() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qvl

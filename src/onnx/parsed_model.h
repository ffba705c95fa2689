// An ONNX model in memory, parsed once: what ModelGraph, ModelProbe, QuantizedGraph and summaries are made
// of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace qvl {

class OnnxModel;

// A copy has a graph of its own. What takes a model changes it: move it where it is wanted no more.
class ParsedModel {
 public:
  struct State;  // the protobuf; defined inside the layer

  // Reads the file, but none of its external data, which is expected beside it. Throws InputError when it is
  // no ONNX model (one of more than 2 GiB is none), and when it cannot be read.
  explicit ParsedModel(const std::filesystem::path& path);
  // The bytes of such a file. `path`: where it lies or would lie, for its external data and for messages.
  ParsedModel(std::span<const std::byte> bytes, std::filesystem::path path);
  // As OnnxModel::save would write it to `path`, without writing anything: its external data has places in
  // `data_file`, and no bytes yet.
  ParsedModel(const OnnxModel& model, std::filesystem::path path, const std::string& data_file);
  explicit ParsedModel(std::unique_ptr<State> state);
  ~ParsedModel();
  ParsedModel(const ParsedModel& other);
  ParsedModel& operator=(const ParsedModel& other);
  ParsedModel(ParsedModel&&) noexcept;
  ParsedModel& operator=(ParsedModel&&) noexcept;

  [[nodiscard]] const std::filesystem::path& path() const noexcept;
  // Of the file that the model makes.
  [[nodiscard]] std::uint64_t file_bytes() const;

  // For this layer.
  [[nodiscard]] const State& state() const noexcept { return *state_; }
  [[nodiscard]] State& state() noexcept { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace qvl

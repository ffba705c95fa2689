// A model loaded into ONNX Runtime.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/named_tensor.h"
#include "core/tensor.h"
#include "qvl/progress.h"
#include "runtime/output_tensor.h"
#include "runtime/session_options.h"
#include "runtime/tensor_info.h"

namespace qvl {

// Where an output is to be written. The bytes are not owned, must be aligned to the element type and may be
// those of an input (a cache that a model extends in place).
struct OutputBuffer {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::span<std::byte> bytes;
};

// run() and run_into() may be called from several threads at once. Move-only; a moved-from one may only be
// destroyed or assigned to.
class Session {
 public:
  // Loads a model with its external data. Throws InputError when the file is missing, is no valid model, uses
  // operators that ONNX Runtime does not have, or has inputs or outputs that are not tensors of a DType;
  // MachineError when the library or the provider cannot be had or memory runs out; UsageError for impossible
  // options.
  explicit Session(const std::filesystem::path& model, const SessionOptions& options = {});
  // The same for a serialized model; its external data lies in the folder of `place`, by which name the model
  // goes in messages. ONNX Runtime reads no external data from elsewhere. The bytes are not needed
  // afterwards.
  [[nodiscard]] static Session from_bytes(std::string_view model, const std::filesystem::path& place,
                                          const SessionOptions& options = {});
  ~Session();
  Session(Session&& other) noexcept;
  Session& operator=(Session&& other) noexcept;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept;
  // In the model's order.
  [[nodiscard]] const std::vector<TensorInfo>& inputs() const noexcept;
  [[nodiscard]] const std::vector<TensorInfo>& outputs() const noexcept;

  // Every input exactly once, in any order, and the outputs wanted, given back in that order; none named:
  // all. Throws UsageError for wrong names, InputError for inputs of another type or shape than the model's
  // and for values that the model cannot compute with, MachineError when memory runs out. When `cancel` is
  // set from another thread, the run ends after the operator it is in, within some milliseconds, and
  // Interrupted is thrown; the session can be used again.
  [[nodiscard]] std::vector<OutputTensor> run(const std::vector<NamedTensor>& inputs,
                                              const std::vector<std::string>& outputs = {},
                                              const CancelToken* cancel = nullptr) const;

  // The same into memory of the caller: as many outputs as are named, of exactly the shapes given. After an
  // exception the buffers hold anything.
  void run_into(const std::vector<NamedTensor>& inputs, const std::vector<OutputBuffer>& outputs,
                const CancelToken* cancel = nullptr) const;

 private:
  struct State;
  explicit Session(std::shared_ptr<const State> state);

  std::shared_ptr<const State> state_;  // shared with the outputs
};

}  // namespace qvl

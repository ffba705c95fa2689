#include "runtime/session.h"

#include <fmt/format.h>
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/dtype.h"
#include "kernels/denormals.h"
#include "qvl/error.h"
#include "runtime/cancel_watch.h"
#include "runtime/library.h"
#include "runtime/session_setup.h"

namespace qvl {
namespace {

std::string names_of(const std::vector<TensorInfo>& infos) {
  std::string text;
  for (const TensorInfo& info : infos) text += (text.empty() ? "" : ", ") + info.name;
  return text;
}

// One tensor's worth of checks; `bytes` is what the caller has for it.
void check_fits(const TensorInfo& info, std::string_view side, DType dtype, const Shape& shape,
                std::size_t bytes) {
  if (dtype != info.dtype || !info.admits(shape)) {
    throw InputError(fmt::format("{} {}: expected {}, found {} {}", side, info.name, to_string(info),
                                 name(dtype), to_string(shape)));
  }
  const auto count = element_count(shape);
  if (!count || static_cast<std::uint64_t>(*count) != bytes / size_bytes(dtype) ||
      bytes % size_bytes(dtype) != 0) {
    throw InputError(fmt::format("{} {}: {} {} does not take {} bytes", side, info.name, name(dtype),
                                 to_string(shape), bytes));
  }
}

bool is_aligned(const std::byte* data, DType dtype) {
  return reinterpret_cast<std::uintptr_t>(data) % size_bytes(dtype) == 0;
}

bool overlaps(std::span<const std::byte> a, std::span<const std::byte> b) {
  return !a.empty() && !b.empty() && a.data() < b.data() + b.size() && b.data() < a.data() + a.size();
}

// A tensor of ONNX Runtime over memory of ours.
OrtHandle<OrtValue> wrap(const OrtMemoryInfo& memory, DType dtype, const Shape& shape, const std::byte* data,
                         std::size_t size, const std::string& doing) {
  static constexpr std::uint64_t kNothing = 0;  // an empty tensor has an address, too
  const void* const address = size == 0 ? static_cast<const void*>(&kNothing) : data;
  OrtValue* raw = nullptr;
  check(ort_api().CreateTensorWithDataAsOrtValue(
            &memory, const_cast<void*>(address), size, shape.data(), shape.size(),
            static_cast<ONNXTensorElementDataType>(onnx_number(dtype)), &raw),
        doing);
  return OrtHandle<OrtValue>(raw);
}

// An output may be an input handed through, whose memory is not ours to keep.
OutputTensor detached(const OutputTensor& output, const std::string& doing) {
  OrtAllocator* allocator = nullptr;
  check(ort_api().GetAllocatorWithDefaultOptions(&allocator), doing);
  OrtValue* raw = nullptr;
  check(ort_api().CreateTensorAsOrtValue(allocator, output.shape().data(), output.shape().size(),
                                         static_cast<ONNXTensorElementDataType>(onnx_number(output.dtype())),
                                         &raw),
        doing);
  OrtHandle<OrtValue> copy(raw);
  void* data = nullptr;
  check(ort_api().GetTensorMutableData(raw, &data), doing);
  std::copy(output.bytes().begin(), output.bytes().end(), static_cast<std::byte*>(data));
  return {std::move(copy), nullptr};
}

// The arguments of one run, as ONNX Runtime takes them.
struct BoundInputs {
  std::vector<const char*> names;
  std::vector<OrtHandle<OrtValue>> owners;
  std::vector<const OrtValue*> values;
  std::vector<std::vector<std::byte>> copies;  // of what is not aligned
};

}  // namespace

struct Session::State {
  std::filesystem::path path;
  OrtHandle<OrtSession> session;
  OrtHandle<OrtMemoryInfo> host_memory;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  bool denormals_as_zero = false;

  // Throws as Session does.
  static std::shared_ptr<const State> of(OrtHandle<OrtSession> session, const std::filesystem::path& path,
                                         const SessionOptions& options);
  [[nodiscard]] std::string doing() const { return fmt::format("running the model {}", path.string()); }
  [[nodiscard]] const TensorInfo& find(const std::vector<TensorInfo>& infos, std::string_view side,
                                       const std::string& name) const;
  template <class Named>
  void check_unique(std::string_view side, const std::vector<Named>& given) const;
  [[nodiscard]] BoundInputs bind(const std::vector<NamedTensor>& given) const;
  void execute(const BoundInputs& bound, const std::vector<const char*>& names,
               std::vector<OrtValue*>& values, const CancelToken* cancel) const;
};

const TensorInfo& Session::State::find(const std::vector<TensorInfo>& infos, std::string_view side,
                                       const std::string& name) const {
  const auto found =
      std::find_if(infos.begin(), infos.end(), [&](const TensorInfo& info) { return info.name == name; });
  if (found == infos.end()) {
    throw UsageError(
        fmt::format("the model {} has no {} {}; it has: {}", path.string(), side, name, names_of(infos)));
  }
  return *found;
}

template <class Named>
void Session::State::check_unique(std::string_view side, const std::vector<Named>& given) const {
  for (std::size_t i = 0; i < given.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (given[i].name != given[j].name) continue;
      throw UsageError(
          fmt::format("{} {} of the model {} is named twice", side, given[i].name, path.string()));
    }
  }
}

BoundInputs Session::State::bind(const std::vector<NamedTensor>& given) const {
  check_unique("input", given);
  BoundInputs bound;
  for (const NamedTensor& input : given) {
    const TensorInfo& info = find(inputs, "input", input.name);
    const auto& [dtype, shape, bytes] = input.tensor;
    check_fits(info, "input", dtype, shape, bytes.size());
    const std::byte* data = bytes.data();
    if (!is_aligned(data, dtype)) data = bound.copies.emplace_back(bytes.begin(), bytes.end()).data();
    bound.names.push_back(info.name.c_str());
    bound.owners.push_back(wrap(*host_memory, dtype, shape, data, bytes.size(), doing()));
    bound.values.push_back(bound.owners.back().get());
  }
  if (given.size() == inputs.size()) return bound;
  for (const TensorInfo& info : inputs) {
    if (std::any_of(given.begin(), given.end(),
                    [&](const NamedTensor& input) { return input.name == info.name; }))
      continue;
    throw UsageError(
        fmt::format("input {} ({}) of the model {} is missing", info.name, to_string(info), path.string()));
  }
  return bound;
}

void Session::State::execute(const BoundInputs& bound, const std::vector<const char*>& names,
                             std::vector<OrtValue*>& values, const CancelToken* cancel) const {
  if (cancel != nullptr) cancel->throw_if_cancelled();
  OrtRunOptions* raw = nullptr;
  check(ort_api().CreateRunOptions(&raw), doing());
  const OrtHandle<OrtRunOptions> options(raw);
  OrtStatus* status = nullptr;
  {
    const DenormalsAsZero as_zero(denormals_as_zero);
    const CancelWatch watch(cancel, [raw] { (void)message_of(ort_api().RunOptionsSetTerminate(raw)); });
    status = ort_api().Run(session.get(), raw, bound.names.data(), bound.values.data(), bound.values.size(),
                           names.data(), names.size(), values.data());
  }
  if (status != nullptr && cancel != nullptr && cancel->cancelled()) {
    (void)message_of(status);
    throw Interrupted("interrupted");
  }
  check(status, doing());
}

std::shared_ptr<const Session::State> Session::State::of(OrtHandle<OrtSession> session,
                                                         const std::filesystem::path& path,
                                                         const SessionOptions& options) {
  auto state = std::make_shared<State>();
  state->denormals_as_zero = options.denormals_as_zero;
  state->path = path;
  state->session = std::move(session);
  state->inputs = describe(*state->session, ModelSide::inputs, path);
  state->outputs = describe(*state->session, ModelSide::outputs, path);
  OrtMemoryInfo* memory = nullptr;
  check(ort_api().CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory), state->doing());
  state->host_memory.reset(memory);
  return state;
}

Session::Session(std::shared_ptr<const State> state) : state_(std::move(state)) {}

Session::Session(const std::filesystem::path& model, const SessionOptions& options) {
  // The first session of a process leaves the mode in the thread that makes it.
  const DenormalsAsZero as_zero(options.denormals_as_zero);
  state_ = State::of(load_session(model, *make_session_options(options)), model, options);
}

Session Session::from_bytes(std::string_view model, const std::filesystem::path& place,
                            const SessionOptions& options) {
  const DenormalsAsZero as_zero(options.denormals_as_zero);
  return Session(State::of(load_session(model, place, *make_session_options(options)), place, options));
}

Session::~Session() = default;
Session::Session(Session&& other) noexcept = default;
Session& Session::operator=(Session&& other) noexcept = default;

const std::filesystem::path& Session::path() const noexcept { return state_->path; }
const std::vector<TensorInfo>& Session::inputs() const noexcept { return state_->inputs; }
const std::vector<TensorInfo>& Session::outputs() const noexcept { return state_->outputs; }

std::vector<OutputTensor> Session::run(const std::vector<NamedTensor>& inputs,
                                       const std::vector<std::string>& outputs,
                                       const CancelToken* cancel) const {
  std::vector<TensorInfo> wanted;
  for (const std::string& name : outputs) wanted.push_back(state_->find(state_->outputs, "output", name));
  if (outputs.empty()) wanted = state_->outputs;
  state_->check_unique("output", wanted);
  const BoundInputs bound = state_->bind(inputs);
  std::vector<const char*> names;
  for (const TensorInfo& info : wanted) names.push_back(info.name.c_str());
  std::vector<OrtValue*> values(wanted.size(), nullptr);
  state_->execute(bound, names, values, cancel);

  std::vector<OrtHandle<OrtValue>> owners;
  owners.reserve(values.size());
  for (OrtValue* const value : values) owners.emplace_back(value);
  std::vector<OutputTensor> results;
  results.reserve(values.size());
  for (OrtHandle<OrtValue>& owner : owners) {
    OutputTensor output(std::move(owner), state_);
    const bool is_input =
        std::any_of(inputs.begin(), inputs.end(),
                    [&](const NamedTensor& input) { return overlaps(output.bytes(), input.tensor.bytes); }) ||
        std::any_of(bound.copies.begin(), bound.copies.end(),
                    [&](const std::vector<std::byte>& copy) { return overlaps(output.bytes(), copy); });
    results.push_back(is_input ? detached(output, state_->doing()) : std::move(output));
  }
  return results;
}

void Session::run_into(const std::vector<NamedTensor>& inputs, const std::vector<OutputBuffer>& outputs,
                       const CancelToken* cancel) const {
  state_->check_unique("output", outputs);
  const BoundInputs bound = state_->bind(inputs);
  std::vector<const char*> names;
  std::vector<OrtHandle<OrtValue>> owners;
  std::vector<OrtValue*> values;
  for (const OutputBuffer& output : outputs) {
    const TensorInfo& info = state_->find(state_->outputs, "output", output.name);
    check_fits(info, "output", output.dtype, output.shape, output.bytes.size());
    if (!is_aligned(output.bytes.data(), output.dtype)) {
      throw UsageError(
          fmt::format("output {}: the buffer is not aligned to {}", info.name, name(output.dtype)));
    }
    names.push_back(info.name.c_str());
    owners.push_back(wrap(*state_->host_memory, output.dtype, output.shape, output.bytes.data(),
                          output.bytes.size(), state_->doing()));
    values.push_back(owners.back().get());
  }
  if (outputs.empty()) return;
  state_->execute(bound, names, values, cancel);
}

}  // namespace qvl

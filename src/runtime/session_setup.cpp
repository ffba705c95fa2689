#include "runtime/session_setup.h"

#include <fmt/format.h>
#include <onnxruntime_c_api.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <thread>

#include "core/dtype.h"
#include "core/lfs_pointer.h"
#include "qvl/error.h"
#include "runtime/library.h"
#include "runtime/own_operators.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

GraphOptimizationLevel level_of(GraphOptimization optimization) {
  switch (optimization) {
    case GraphOptimization::none:
      return ORT_DISABLE_ALL;
    case GraphOptimization::basic:
      return ORT_ENABLE_BASIC;
    case GraphOptimization::extended:
      return ORT_ENABLE_EXTENDED;
    case GraphOptimization::all:
      break;
  }
  return ORT_ENABLE_ALL;
}

// ONNX Runtime's own default pins threads to processors that this process may not be allowed to use.
int threads_of(const SessionOptions& options) {
  if (options.threads < 0) {
    throw UsageError(fmt::format("threads is {}, it must be 0 (all cores) or more", options.threads));
  }
  // More threads than processors only wait for each other.
  const int processors = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  return options.threads > 0 ? std::min(options.threads, processors) : processors;
}

void require_cuda() {
  const std::vector<std::string> providers = available_providers();
  if (std::find(providers.begin(), providers.end(), "CUDAExecutionProvider") != providers.end()) return;
  throw MachineError(
      fmt::format("ONNX Runtime at {} has no CUDA provider (it has: {}); install the GPU build: "
                  "scripts/setup.sh --cuda, or set ONNXRUNTIME_ROOT",
                  runtime_path(), fmt::join(providers, ", ")));
}

void append_cuda(OrtSessionOptions& ort_options, const SessionOptions& options) {
  require_cuda();
  const std::string device = std::to_string(options.device);
  std::vector<const char*> keys{"device_id", "use_tf32"};
  std::vector<const char*> values{device.c_str(), "0"};
  for (const auto& [key, value] : options.provider_options) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  (void)take_last_runtime_log();
  OrtCUDAProviderOptionsV2* raw = nullptr;
  std::string failure = message_of(ort_api().CreateCUDAProviderOptions(&raw));
  const OrtHandle<OrtCUDAProviderOptionsV2> cuda(raw);
  if (failure.empty()) {
    failure = message_of(ort_api().UpdateCUDAProviderOptions(raw, keys.data(), values.data(), keys.size()));
  }
  if (failure.empty())
    failure = message_of(ort_api().SessionOptionsAppendExecutionProvider_CUDA_V2(&ort_options, raw));
  if (failure.empty()) return;
  if (const std::string log = take_last_runtime_log(); !log.empty() && log != failure) failure += "; " + log;
  throw MachineError(
      fmt::format("the CUDA provider of ONNX Runtime at {} cannot be used: {}", runtime_path(), failure));
}

void check_model_file(const fs::path& model) {
  std::error_code error;
  const fs::file_status status = fs::status(model, error);
  if (!fs::exists(status)) throw InputError(fmt::format("the model {} does not exist", model.string()));
  if (!fs::is_regular_file(status)) {
    throw InputError(fmt::format("the model {} is not a regular file", model.string()));
  }
  if (::access(model.c_str(), R_OK) != 0) {
    throw InputError(fmt::format("cannot open the model {}: {}", model.string(), std::strerror(errno)));
  }
  if (fs::file_size(model, error) == 0)
    throw InputError(fmt::format("the model {} is empty", model.string()));
  // The usual names of its data file, too: ONNX Runtime would only say that the file is too short.
  refuse_lfs_pointer(model);
  for (const char* suffix : {"_data", ".data"}) refuse_lfs_pointer(model.string() + suffix);
}

// Names are given out by an allocator of ONNX Runtime.
std::string take_name(OrtAllocator& allocator, char* text) {
  const auto release = [&](char* owned) { (void)message_of(ort_api().AllocatorFree(&allocator, owned)); };
  const std::unique_ptr<char, decltype(release)> owner(text, release);
  return text;
}

std::vector<DimInfo> dims_of(const OrtTensorTypeAndShapeInfo& tensor, const std::string& doing) {
  std::size_t rank = 0;
  check(ort_api().GetDimensionsCount(&tensor, &rank), doing);
  Shape sizes(rank);
  std::vector<const char*> symbols(rank);  // owned by `tensor`
  check(ort_api().GetDimensions(&tensor, sizes.data(), rank), doing);
  check(ort_api().GetSymbolicDimensions(&tensor, symbols.data(), rank), doing);
  std::vector<DimInfo> dims(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    dims[i].size = std::max<std::int64_t>(sizes[i], -1);
    if (!dims[i].is_fixed() && symbols[i] != nullptr) dims[i].symbol = symbols[i];
  }
  return dims;
}

std::string kind_name(ONNXType kind) {
  switch (kind) {
    case ONNX_TYPE_SEQUENCE:
      return "a sequence";
    case ONNX_TYPE_MAP:
      return "a map";
    case ONNX_TYPE_SPARSETENSOR:
      return "a sparse tensor";
    case ONNX_TYPE_OPTIONAL:
      return "an optional value";
    default:
      return "of an unknown kind";
  }
}

std::string element_name(ONNXTensorElementDataType type) {
  if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) return "strings";
  return fmt::format("elements of ONNX type {}", static_cast<int>(type));
}

// `subject` names the input or output in messages.
TensorInfo tensor_info_of(const OrtTypeInfo& type, std::string name, const std::string& subject) {
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  check(ort_api().GetOnnxTypeFromTypeInfo(&type, &kind), subject);
  if (kind != ONNX_TYPE_TENSOR) {
    throw InputError(fmt::format("{} is {}; only tensors are supported", subject, kind_name(kind)));
  }
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;  // owned by `type`
  check(ort_api().CastTypeInfoToTensorInfo(&type, &tensor), subject);
  ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  check(ort_api().GetTensorElementType(tensor, &element), subject);
  const auto dtype = dtype_from_onnx(element);
  if (!dtype) {
    throw InputError(
        fmt::format("{} holds {}; only integers of 8 to 64 bits, floats of 16 to 64 bits and bool are "
                    "supported",
                    subject, element_name(element)));
  }
  return {std::move(name), *dtype, dims_of(*tensor, subject)};
}

}  // namespace

OrtHandle<OrtSessionOptions> make_session_options(const SessionOptions& options) {
  const std::string doing = "setting the options of ONNX Runtime";
  OrtSessionOptions* raw = nullptr;
  check(ort_api().CreateSessionOptions(&raw), doing);
  OrtHandle<OrtSessionOptions> handle(raw);
  check(ort_api().SetSessionGraphOptimizationLevel(raw, level_of(options.optimization)), doing);
  check(ort_api().SetSessionExecutionMode(raw, ORT_SEQUENTIAL), doing);
  check(ort_api().SetIntraOpNumThreads(raw, threads_of(options)), doing);
  check(ort_api().SetInterOpNumThreads(raw, 1), doing);
  check(ort_api().SetDeterministicCompute(raw, options.deterministic), doing);
  if (!options.memory_arena) check(ort_api().DisableCpuMemArena(raw), doing);
  if (options.shared_arena) {
    RuntimeLibrary::get().make_shared_arena();
    check(ort_api().AddSessionConfigEntry(raw, "session.use_env_allocators", "1"), doing);
  }
  if (options.own_operators) add_own_operators(*raw);
  // For threads of the session; run() sees to the one that calls it.
  if (options.denormals_as_zero)
    check(ort_api().AddSessionConfigEntry(raw, "session.set_denormal_as_zero", "1"), doing);
  if (!options.memory_pattern) check(ort_api().DisableMemPattern(raw), doing);
  // Whatever the file is called, it is read as ONNX.
  check(ort_api().AddSessionConfigEntry(raw, "session.load_model_format", "ONNX"), doing);
  for (const auto& [key, value] : options.config) {
    const std::string failure = message_of(ort_api().AddSessionConfigEntry(raw, key.c_str(), value.c_str()));
    if (!failure.empty()) {
      throw UsageError(fmt::format("ONNX Runtime does not take the option {}={}: {}", key, value, failure));
    }
  }
  if (options.provider == Provider::cuda) append_cuda(*raw, options);
  return handle;
}

OrtHandle<OrtSession> load_session(const fs::path& model, const OrtSessionOptions& options) {
  check_model_file(model);
  OrtSession* raw = nullptr;
  check(ort_api().CreateSession(&RuntimeLibrary::get().environment(), model.c_str(), &options, &raw),
        fmt::format("cannot load the model {}", model.string()));
  return OrtHandle<OrtSession>(raw);
}

OrtHandle<OrtSession> load_session(std::string_view model, const fs::path& place,
                                   OrtSessionOptions& options) {
  const std::string doing = fmt::format("cannot load the model {}", place.string());
  const fs::path folder = place.has_parent_path() ? place.parent_path() : fs::path(".");
  check(ort_api().AddSessionConfigEntry(&options, "session.model_external_initializers_file_folder_path",
                                        folder.c_str()),
        doing);
  OrtSession* raw = nullptr;
  check(ort_api().CreateSessionFromArray(&RuntimeLibrary::get().environment(), model.data(), model.size(),
                                         &options, &raw),
        doing);
  return OrtHandle<OrtSession>(raw);
}

std::vector<TensorInfo> describe(const OrtSession& session, ModelSide side, const fs::path& model) {
  const bool inputs = side == ModelSide::inputs;
  const std::string doing = fmt::format("reading the inputs and outputs of {}", model.string());
  OrtAllocator* allocator = nullptr;  // the default one, not ours
  check(ort_api().GetAllocatorWithDefaultOptions(&allocator), doing);
  std::size_t count = 0;
  check(inputs ? ort_api().SessionGetInputCount(&session, &count)
               : ort_api().SessionGetOutputCount(&session, &count),
        doing);
  std::vector<TensorInfo> infos;
  for (std::size_t i = 0; i < count; ++i) {
    char* text = nullptr;
    check(inputs ? ort_api().SessionGetInputName(&session, i, allocator, &text)
                 : ort_api().SessionGetOutputName(&session, i, allocator, &text),
          doing);
    std::string name = take_name(*allocator, text);
    OrtTypeInfo* raw = nullptr;
    check(inputs ? ort_api().SessionGetInputTypeInfo(&session, i, &raw)
                 : ort_api().SessionGetOutputTypeInfo(&session, i, &raw),
          doing);
    const OrtHandle<OrtTypeInfo> type(raw);
    const std::string subject = fmt::format("{} {} of {}", inputs ? "input" : "output", name, model.string());
    infos.push_back(tensor_info_of(*type, std::move(name), subject));
  }
  return infos;
}

}  // namespace qvl

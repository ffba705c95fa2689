#include "bench/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "qvl/error.h"
#include "runtime/cancel_watch.h"

namespace qvl {
namespace {

constexpr std::size_t kMostErrorBytes = std::size_t{64} << 10U;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }
  void close() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// A process of ours; does not outlive this.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    (void)reap(nullptr);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // It stays a zombie, so that its number is not given to another process.
  void await_end() const {
    siginfo_t ended{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
  }

  // Its wait status.
  int reap(rusage* usage) {
    int status = 0;
    while (::wait4(pid_, &status, 0, usage) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
};

[[noreturn]] void throw_not_started(const std::string& program, int error) {
  throw MachineError(fmt::format("cannot start {}: {}", program, std::strerror(error)));
}

// In the child: only calls that are safe between fork and exec. What goes wrong is told through `failure`.
[[noreturn]] void become(char* const* arguments, int nothing, int errors, int failure, pid_t parent) {
  // A group of its own: Ctrl-C at the terminal reaches this process only, which passes it on once.
  (void)::setpgid(0, 0);
  (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(127);
  if (::dup2(nothing, STDIN_FILENO) >= 0 && ::dup2(nothing, STDOUT_FILENO) >= 0 &&
      ::dup2(errors, STDERR_FILENO) >= 0) {
    ::execv(arguments[0], arguments);
  }
  const int error = errno;
  (void)!::write(failure, &error, sizeof(error));
  ::_exit(127);
}

std::string read_errors(int fd) {
  std::string text(kMostErrorBytes, '\0');
  const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  text.resize(end == std::string::npos ? 0 : end + 1);
  return text;
}

}  // namespace

ChildResult run_child(const std::vector<std::string>& command, const CancelToken* cancel) {
  if (cancel != nullptr) cancel->throw_if_cancelled();
  const Descriptor nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const Descriptor errors(::memfd_create("stderr", MFD_CLOEXEC));
  int ends[2] = {-1, -1};
  if (nothing.get() < 0 || errors.get() < 0 || ::pipe2(ends, O_CLOEXEC) != 0)
    throw_not_started(command.at(0), errno);
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  const pid_t parent = ::getpid();
  const auto start = std::chrono::steady_clock::now();
  // Not vfork: the memory of this process would count as the child's.
  const pid_t child = ::fork();
  if (child < 0) throw_not_started(command[0], errno);
  if (child == 0) become(arguments.data(), nothing.get(), errors.get(), writing.get(), parent);
  writing.close();
  ChildResult result;
  Child guard(child);
  {
    const CancelWatch watch(cancel, [child] { ::kill(child, SIGINT); });
    guard.await_end();
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  rusage usage{};
  const int status = guard.reap(&usage);
  int error = 0;
  if (::read(reading.get(), &error, sizeof(error)) == sizeof(error)) throw_not_started(command[0], error);
  if (cancel != nullptr) cancel->throw_if_cancelled();
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.peak_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  result.errors = read_errors(errors.get());
  return result;
}

std::optional<std::filesystem::path> find_program(const std::string& name) {
  const char* const variable = std::getenv("PATH");
  std::string_view rest = variable == nullptr ? "/usr/bin:/bin" : variable;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const std::string_view folder = rest.substr(0, colon);
    std::filesystem::path file = std::filesystem::path(folder.empty() ? "." : folder) / name;
    std::error_code error;
    if (std::filesystem::is_regular_file(file, error) && ::access(file.c_str(), X_OK) == 0) return file;
    rest = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
  }
  return std::nullopt;
}

}  // namespace qvl

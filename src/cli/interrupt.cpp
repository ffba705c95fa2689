#include "cli/interrupt.h"

#include <unistd.h>
#include <csignal>
#include <string_view>

namespace qvl::cli {
namespace {

CancelToken token;

extern "C" void on_signal(int) {
  if (token.cancelled()) _exit(130);
  token.cancel();
}

extern "C" void exit_at_once(int) {
  constexpr std::string_view kWords = "qvl: interrupted\n";
  (void)!::write(STDERR_FILENO, kWords.data(), kWords.size());
  _exit(130);
}

void handle(void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGHUP, &action, nullptr);
}

}  // namespace

const CancelToken& cancel_on_signal() {
  handle(on_signal);
  return token;
}

void exit_on_signal() { handle(exit_at_once); }

}  // namespace qvl::cli

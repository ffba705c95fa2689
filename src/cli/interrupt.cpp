#include "cli/interrupt.h"

#include <unistd.h>
#include <csignal>

namespace qvl::cli {
namespace {

CancelToken token;

extern "C" void on_signal(int) {
  if (token.cancelled()) _exit(130);
  token.cancel();
}

}  // namespace

const CancelToken& cancel_on_signal() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGHUP, &action, nullptr);
  return token;
}

}  // namespace qvl::cli

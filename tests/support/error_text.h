// The message of the InputError that a call throws.
#pragma once

#include <string>

#include "qvl/error.h"

namespace qvl::test {

// Empty when nothing is thrown; other exceptions pass through.
template <class Call>
std::string input_error(Call&& call) {
  try {
    call();
  } catch (const InputError& error) {
    return error.what();
  }
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace qvl::test

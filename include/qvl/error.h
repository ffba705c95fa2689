// The exceptions that qvl throws. The message says what was wrong, where, and what would be right.
#pragma once

#include <stdexcept>
#include <string>

#if defined(__GNUC__)
#define QVL_API __attribute__((visibility("default")))
#else
#define QVL_API
#endif

namespace qvl {

// Base of all. Never thrown itself.
class QVL_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~Error() override;
};

// The caller asked for something that does not exist or does not go together (a wrong option).
class QVL_API UsageError : public Error {
 public:
  using Error::Error;
  ~UsageError() override;
};

// A file, a folder or a value given by the user is not what it must be.
class QVL_API InputError : public Error {
 public:
  using Error::Error;
  ~InputError() override;
};

// The input is fine but this machine cannot do it: disk full, library missing, no such provider, no memory.
class QVL_API MachineError : public Error {
 public:
  using Error::Error;
  ~MachineError() override;
};

// The work was stopped on request (see CancelToken). Nothing half-written is left behind.
class QVL_API Interrupted : public Error {
 public:
  using Error::Error;
  ~Interrupted() override;
};

}  // namespace qvl

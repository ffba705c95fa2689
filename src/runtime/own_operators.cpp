#include "runtime/own_operators.h"

#include <string>

#include "runtime/attention_operator.h"
#include "runtime/library.h"
#include "runtime/ort_handle.h"
#include "runtime/rotary_operator.h"

namespace qvl {
namespace {

OrtCustomOpDomain* make_domain() {
  static const OrtCustomOp attention = attention_operator();
  static const OrtCustomOp rotary = rotary_operator();
  OrtCustomOpDomain* domain = nullptr;
  const std::string doing = "making the operators of domain qvl known";
  check(ort_api().CreateCustomOpDomain("qvl", &domain), doing);
  check(ort_api().CustomOpDomain_Add(domain, &attention), doing);
  check(ort_api().CustomOpDomain_Add(domain, &rotary), doing);
  return domain;
}

}  // namespace

void add_own_operators(OrtSessionOptions& options) {
  static OrtCustomOpDomain* const domain = make_domain();  // sessions refer to it as long as they live
  check(ort_api().AddCustomOpDomain(&options, domain), "making the operators of domain qvl known");
}

}  // namespace qvl

// The leaf operator library `fastgan_C`: what is not an operator on tensors. Each op registers itself in its
// file.
#include <torch/csrc/stable/library.h>

#include <string>

#include "cpu/capability.h"
#include "cpu/scratch.h"
#include "torch/cuda_stream.h"

namespace {

std::string cpu_capability() { return fastgan::cpu::name(fastgan::cpu::active()); }

void force_cpu_capability(std::string name) { fastgan::cpu::force(name); }

std::string last_cpu_capability() { return fastgan::cpu::last_run(); }

int64_t kept_scratch() { return fastgan::cpu::kept_scratch(); }

bool finds_cuda_stream() { return aoti_torch_get_current_cuda_stream != nullptr; }

}  // namespace

STABLE_TORCH_LIBRARY(fastgan_C, m) {
  m.def("cpu_capability() -> str");
  m.def("force_cpu_capability(str name) -> ()");
  m.def("last_cpu_capability() -> str");
  m.def("kept_scratch() -> int");
  m.def("finds_cuda_stream() -> bool");
}

STABLE_TORCH_LIBRARY_IMPL(fastgan_C, CompositeExplicitAutograd, m) {
  m.impl("cpu_capability", TORCH_BOX(&cpu_capability));
  m.impl("force_cpu_capability", TORCH_BOX(&force_cpu_capability));
  m.impl("last_cpu_capability", TORCH_BOX(&last_cpu_capability));
  m.impl("kept_scratch", TORCH_BOX(&kept_scratch));
  m.impl("finds_cuda_stream", TORCH_BOX(&finds_cuda_stream));
}

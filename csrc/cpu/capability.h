// Which instruction sets the CPU kernels may use: what this machine has, what is chosen, what last ran.
//
// Capabilities are named as in torch.backends.cpu. `default` is plain C++ for the compiler's baseline and
// exists everywhere; `avx2` is AVX2 with FMA. A further one is added to the enum, to kNames and to
// supported(), and to the table of each op that has a kernel for it.
#pragma once

#include <string>
#include <vector>

// The place of an x86-64 kernel in a table: nullptr where the compiler does not make one.
#if defined(__x86_64__)
#define FASTGAN_X86(kernel) kernel
#else
#define FASTGAN_X86(kernel) nullptr
#endif

namespace fastgan::cpu {

enum class Capability : int { kDefault = 0, kAvx2, kAvx512 };
constexpr int kCapabilityCount = 3;

const char* name(Capability capability);

// True if this machine can execute the capability's instructions.
bool supported(Capability capability);

// Names of the supported capabilities, best first.
std::vector<std::string> supported_names();

// The supported capability of a name, the best for "auto". Throws std::invalid_argument when it is unknown or
// not supported here.
Capability named(const std::string& name);

// The capability in force: that of the thread's CapabilityScope, else the one forced by force() or
// FASTGAN_CPU_CAPABILITY, else the best supported. Throws std::invalid_argument when the environment names
// one that is unknown or not supported here.
Capability active();

// Puts a capability in force on this thread while it lives.
class CapabilityScope {
 public:
  explicit CapabilityScope(Capability capability);
  ~CapabilityScope();
  CapabilityScope(const CapabilityScope&) = delete;
  CapabilityScope& operator=(const CapabilityScope&) = delete;

 private:
  int before_;
};

// Forces a capability by name for this process; "auto" returns to the choice by environment and machine.
// Throws std::invalid_argument as active() does, and then changes nothing.
void force(const std::string& name);

// Name of the capability whose kernel ran last in this process, "" if none has.
const char* last_run();

// The kernels of one op by capability, nullptr where one is missing.
template <class Kernel>
struct Table {
  Kernel kernels[kCapabilityCount];
};

// Records that a kernel of `capability` is about to run.
void note_run(Capability capability);

// The best kernel of the table that the active capability allows.
template <class Kernel>
Kernel select(const Table<Kernel>& table) {
  int best = static_cast<int>(active());
  while (best > 0 && table.kernels[best] == nullptr) --best;
  note_run(static_cast<Capability>(best));
  return table.kernels[best];
}

}  // namespace fastgan::cpu

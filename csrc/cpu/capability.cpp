// The choice of CPU capability, by machine, environment and force().
#include "cpu/capability.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace fastgan::cpu {
namespace {

constexpr const char* kNames[kCapabilityCount] = {"default", "avx2", "avx512"};
constexpr int kUndecided = -1;

std::atomic<int> chosen{kUndecided};
std::atomic<int> last{kUndecided};
thread_local int in_scope = kUndecided;

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& each : names) text += (text.empty() ? "" : ", ") + each;
  return text;
}

Capability parse(const std::string& wanted, const char* source) {
  if (wanted == "auto") return parse(supported_names().front(), source);
  for (int i = 0; i < kCapabilityCount; ++i) {
    const auto capability = static_cast<Capability>(i);
    if (wanted == kNames[i] && supported(capability)) return capability;
  }
  throw std::invalid_argument(std::string(source) + " must be one of auto, " + listed(supported_names()) +
                              " on this machine, got '" + wanted + "'");
}

Capability by_environment() {
  const char* wanted = std::getenv("FASTGAN_CPU_CAPABILITY");
  if (wanted == nullptr || *wanted == '\0') return named("auto");
  return parse(wanted, "FASTGAN_CPU_CAPABILITY");
}

}  // namespace

const char* name(Capability capability) { return kNames[static_cast<int>(capability)]; }

// The builtin asks the processor, and whether the operating system saves the wide registers.
bool supported(Capability capability) {
  switch (capability) {
    case Capability::kDefault:
      return true;
    case Capability::kAvx2:
#if defined(__x86_64__)
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
      return false;
#endif
    case Capability::kAvx512:
#if defined(__x86_64__)
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
      return false;
#endif
  }
  return false;
}

std::vector<std::string> supported_names() {
  std::vector<std::string> names;
  for (int i = kCapabilityCount - 1; i >= 0; --i) {
    if (supported(static_cast<Capability>(i))) names.emplace_back(kNames[i]);
  }
  return names;
}

Capability named(const std::string& wanted) { return parse(wanted, "cpu capability"); }

Capability active() {
  if (in_scope != kUndecided) return static_cast<Capability>(in_scope);
  int value = chosen.load(std::memory_order_relaxed);
  if (value == kUndecided) {
    value = static_cast<int>(by_environment());
    chosen.store(value, std::memory_order_relaxed);
  }
  return static_cast<Capability>(value);
}

void force(const std::string& wanted) {
  const Capability capability = wanted == "auto" ? by_environment() : named(wanted);
  chosen.store(static_cast<int>(capability), std::memory_order_relaxed);
}

CapabilityScope::CapabilityScope(Capability capability) : before_(in_scope) {
  in_scope = static_cast<int>(capability);
}

CapabilityScope::~CapabilityScope() { in_scope = before_; }

const char* last_run() {
  const int value = last.load(std::memory_order_relaxed);
  return value == kUndecided ? "" : kNames[value];
}

void note_run(Capability capability) { last.store(static_cast<int>(capability), std::memory_order_relaxed); }

}  // namespace fastgan::cpu

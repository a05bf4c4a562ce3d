// Every case is run with each capability, on one thread and on three, its tensors before and after a guard.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cpu/parallel.h"
#include "guarded_memory.h"

namespace fastgan::test {

struct Run {
  Guard guard;
  cpu::ParallelFor pool;
};

// Thread pools: one body for all there is; three threads that take small pieces, the last ones first.
void one_thread(int64_t count, int64_t grain, cpu::RangeBody body, void* context);
void three_threads(int64_t count, int64_t grain, cpu::RangeBody body, void* context);

// The capabilities that cases are run with; all of this machine to begin with.
std::vector<std::string>& capabilities();

// Calls `run`, which returns the bytes of its outputs: they may depend on the capability alone. The kernel of
// that capability must have run last, or that of `kernel` for ops that have no other; "" where none runs.
void each_run(const std::function<std::vector<unsigned char>(const Run&)>& run, const char* kernel = nullptr);

}  // namespace fastgan::test

// The thread pool as a C callback: CPU kernels know no torch header, the binding passes torch's parallel_for.
#pragma once

#include <cstdint>

namespace fastgan::cpu {

using RangeBody = void (*)(int64_t begin, int64_t end, void* context);

// Runs body over [0, count) in pieces of at least `grain`, on any number of threads, and returns when all are
// done.
using ParallelFor = void (*)(int64_t count, int64_t grain, RangeBody body, void* context);

// The same for a callable `f(begin, end)`.
template <class F>
void parallel_for(ParallelFor pool, int64_t count, int64_t grain, const F& f) {
  pool(
      count, grain,
      [](int64_t begin, int64_t end, void* context) { (*static_cast<const F*>(context))(begin, end); },
      const_cast<F*>(&f));
}

}  // namespace fastgan::cpu

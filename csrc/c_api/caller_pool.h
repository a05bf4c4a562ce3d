// The caller's thread pool as the kernels' ParallelFor, which has no room for a pool's own context: the
// thread that calls remembers it.
#pragma once

#include <cstdint>

#include "cpu/capability.h"
#include "cpu/parallel.h"
#include "fastgan.h"

namespace fastgan::c_api {

// The pool of this thread while it lives; nullptr is the thread alone. What runs on it has `capability`.
class CallerPool {
 public:
  CallerPool(const fastgan_pool* pool, cpu::Capability capability);
  ~CallerPool();
  CallerPool(const CallerPool&) = delete;
  CallerPool& operator=(const CallerPool&) = delete;

  int threads() const { return pool_ == nullptr ? 1 : pool_->threads; }

  // A cpu::ParallelFor. An exception of a body ends it on this thread, once all tasks are done; so does, as a
  // Refusal, a pool that does not run every task once.
  static void run(int64_t count, int64_t grain, cpu::RangeBody body, void* context);

 private:
  const fastgan_pool* pool_;
  const cpu::CapabilityScope scope_;
  const cpu::Capability capability_;
  const CallerPool* const before_;
};

// Throws Refusal unless `pool` is one.
void check_pool(const fastgan_pool* pool);

}  // namespace fastgan::c_api

// Tasks for the caller's threads. Nothing leaves a task: neither an exception, nor a call that comes twice.
#include "c_api/caller_pool.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <string>

#include "c_api/refusal.h"

namespace fastgan::c_api {
namespace {

constexpr int kMostThreads = 1024;

thread_local const CallerPool* current = nullptr;

// A range that is cut into tasks.
struct Job {
  cpu::RangeBody body;
  void* context;
  int64_t count, tasks;
  cpu::Capability capability;
  std::atomic<int64_t> done{0};
  std::atomic<bool> astray{false};  // a task came that is none of ours, or for the second time
  std::atomic<bool> failed{false};
  std::exception_ptr failure{};  // of the first to set `failed`
  std::atomic<bool> begun[kMostThreads] = {};

  void run(int64_t index) {
    if (index < 0 || index >= tasks || begun[index].exchange(true)) {
      astray = true;
      return;
    }
    try {
      const cpu::CapabilityScope scope(capability);
      body(index * count / tasks, (index + 1) * count / tasks, context);
    } catch (...) {
      if (!failed.exchange(true)) failure = std::current_exception();
    }
    ++done;
  }
};

void run_task(void* job, int64_t index) { static_cast<Job*>(job)->run(index); }

}  // namespace

CallerPool::CallerPool(const fastgan_pool* pool, cpu::Capability capability)
    : pool_(pool), scope_(capability), capability_(capability), before_(current) {
  current = this;
}

CallerPool::~CallerPool() { current = before_; }

void CallerPool::run(int64_t count, int64_t grain, cpu::RangeBody body, void* context) {
  const CallerPool& self = *current;
  grain = std::max<int64_t>(1, grain);
  const int64_t tasks = std::min<int64_t>(self.threads(), (count + grain - 1) / grain);
  if (tasks < 2) {
    if (count > 0) body(0, count, context);
    return;
  }
  Job job{body, context, count, tasks, self.capability_};
  self.pool_->parallel_for(self.pool_->context, tasks, &run_task, &job);
  if (job.failed) std::rethrow_exception(job.failure);
  if (job.astray || job.done != tasks) {
    throw Refusal(FASTGAN_POOL_FAILED, "the pool's parallel_for must run each of " + std::to_string(tasks) +
                                           " tasks once, and returned after " + std::to_string(job.done) +
                                           (job.astray ? " and others" : ""));
  }
}

void check_pool(const fastgan_pool* pool) {
  if (pool == nullptr) return;
  if (pool->parallel_for == nullptr)
    throw Refusal(FASTGAN_BAD_ARGUMENT, "pool->parallel_for must not be NULL");
  if (pool->threads < 1 || pool->threads > kMostThreads) {
    throw Refusal(FASTGAN_BAD_ARGUMENT, "pool->threads must be from 1 to " + std::to_string(kMostThreads) +
                                            ", got " + std::to_string(pool->threads));
  }
}

}  // namespace fastgan::c_api

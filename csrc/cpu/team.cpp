// Sharing out a job's parts among those who are awake.
#include "cpu/team.h"

#include <algorithm>
#include <thread>

namespace fastgan::cpu {
namespace {

// Waits a little; gives the processor away now and then, as somebody else may need it to go on.
class Wait {
 public:
  void once() {
    if (++turns_ % kTurns == 0) return std::this_thread::yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

 private:
  static constexpr int kTurns = 1024;
  int turns_ = 0;
};

// Counts a part as done when it is left, also by an exception.
class Done {
 public:
  explicit Done(std::atomic<int64_t>& done) : done_(done) {}
  ~Done() { done_.fetch_add(1, std::memory_order_release); }

 private:
  std::atomic<int64_t>& done_;
};

}  // namespace

static thread_local Team* leading = nullptr;

Team::Leader::Leader(Team& team) { leading = &team; }

Team::Leader::~Leader() {
  leading->over_.store(true, std::memory_order_release);
  leading = nullptr;
}

Team::Job::~Job() {
  const uint64_t job = Claims::from(team_.claims_.load(std::memory_order_relaxed)).job;
  const uint64_t bits = team_.claims_.exchange(Claims{job, 0, 0}.bits(), std::memory_order_acq_rel);
  const auto taken = static_cast<int64_t>(Claims::from(bits).next);
  for (Wait wait; team_.done_.load(std::memory_order_acquire) < taken;) wait.once();
}

void Team::share(int64_t count, int64_t grain, RangeBody body, void* context) {
  leading->lead(count, grain, body, context);
}

void Team::lead(int64_t count, int64_t grain, RangeBody body, void* context) {
  const int64_t parts = std::min<int64_t>(threads_, (count + grain - 1) / std::max<int64_t>(1, grain));
  if (parts < 2) {
    if (count > 0) body(0, count, context);
    return;
  }
  count_ = count;
  body_ = body;
  context_ = context;
  done_.store(0, std::memory_order_relaxed);
  const uint64_t job = Claims::from(claims_.load(std::memory_order_relaxed)).job + 1;
  claims_.store(Claims{job, static_cast<uint64_t>(parts), 0}.bits(), std::memory_order_release);
  const Job open(*this);
  while (take_part()) {
  }
}

void Team::follow() {
  for (Wait wait; !over_.load(std::memory_order_acquire);) {
    if (!take_part()) wait.once();
  }
}

bool Team::take_part() {
  uint64_t bits = claims_.load(std::memory_order_acquire);
  Claims claims = Claims::from(bits);
  while (claims.next < claims.parts) {
    const Claims taken{claims.job, claims.parts, claims.next + 1};
    if (claims_.compare_exchange_weak(bits, taken.bits(), std::memory_order_acq_rel)) {
      const Done done(done_);
      const int64_t part = static_cast<int64_t>(claims.next), parts = static_cast<int64_t>(claims.parts);
      body_(part * count_ / parts, (part + 1) * count_ / parts, context_);
      return true;
    }
    claims = Claims::from(bits);
  }
  return false;
}

}  // namespace fastgan::cpu

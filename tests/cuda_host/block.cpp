// Blocks: their threads take turns until all are at their end, or none can go on.
#include "block.h"

#include "shared_memory.h"

namespace fastgan::cuda_host {
namespace {

std::string text(const uint3& index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) +
         ")";
}

}  // namespace

std::string Block::run(const uint3& index, const dim3& extents, Schedule& schedule,
                       const std::function<void()>& body) {
  blockIdx = index;
  body_ = &body;
  begin(extents);
  shared_memory().begin_block();
  while (live_ > 0 && wrong_.empty()) {
    const bool ran =
        schedule.pass(count_, [this](unsigned number) { return wrong_.empty() && resume(number); });
    if (!ran && wrong_.empty()) wrong_ = "block " + text(index) + ": deadlock: " + who_waits();
  }
  return wrong_;
}

void Block::begin(const dim3& extents) {
  count_ = live_ = extents.x * extents.y * extents.z;
  arrived_ = 0;
  wrong_.clear();
  if (threads_.size() < count_) threads_.resize(count_);
  warps_.resize((count_ + kLanes - 1) / kLanes);
  for (unsigned w = 0; w < warps_.size(); ++w) {
    const unsigned lanes = count_ - w * kLanes;
    warps_[w].begin(lanes >= kLanes ? kAllLanes : (1u << lanes) - 1);
  }
  for (unsigned i = 0; i < count_; ++i) {
    Thread& thread = threads_[i];
    thread.index = {i % extents.x, i / extents.x % extents.y, i / (extents.x * extents.y)};
    thread.lane = i % kLanes;
    thread.warp = i / kLanes;
    thread.exited = false;
    thread.turn = nullptr;
    thread.copies.forget();
    thread.fiber.start(&Block::thread_main);
  }
}

bool Block::resume(unsigned number) {
  Thread& thread = threads_[number];
  if (!thread.can_run()) return false;
  thread.turn = nullptr;
  current_ = &thread;
  threadIdx = thread.index;
  thread.fiber.resume();
  return true;
}

void Block::thread_main() {
  Block& self = block();
  (*self.body_)();
  Thread& thread = self.current();
  thread.exited = true;
  --self.live_;
  self.try_release();
  self.warps_[thread.warp].exit(thread.lane);
}

void Block::wait(const uint64_t& turn, const Place& place) {
  current_->turn = &turn;
  current_->seen = turn;
  current_->place = place;
  Fiber::leave();
}

void Block::barrier(const Place& place) {
  if (arrived_ == 0) {
    place_ = place;
  } else if (place_ != place) {
    stop("threads of a block diverge: " + cuda_host::text(place) + ", others are in " +
         cuda_host::text(place_));
  }
  ++arrived_;
  const uint64_t turn = turn_;
  try_release();
  if (turn_ == turn) wait(turn_, place);
}

void Block::try_release() {
  if (arrived_ == 0 || arrived_ != live_) return;
  arrived_ = 0;
  ++turn_;
}

void Block::stop(const std::string& what) {
  wrong_ = "block " + text(blockIdx) + ", thread " + text(current_->index) + ": " + what;
  for (;;) Fiber::leave();
}

std::string Block::who_waits() const {
  std::string who;
  for (unsigned i = 0; i < count_; ++i) {
    const Thread& thread = threads_[i];
    const Thread* const before = i == 0 ? nullptr : &threads_[i - 1];
    if (thread.exited || (before != nullptr && !before->exited && before->place == thread.place)) continue;
    who += (who.empty() ? "" : ", ") + ("thread " + text(thread.index) + " waits in ") +
           cuda_host::text(thread.place);
  }
  return who + (live_ < count_ ? "; " + std::to_string(count_ - live_) + " threads are at their end" : "");
}

Block& block() {
  static Block block;
  return block;
}

void fail(const std::string& what) { block().stop(what); }

}  // namespace fastgan::cuda_host

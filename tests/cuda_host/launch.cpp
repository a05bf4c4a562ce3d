// Launches: checked as CUDA checks them, then run.
#include "launch.h"

#include <mutex>
#include <stdexcept>
#include <string>

#include "block.h"
#include "shared_memory.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace fastgan::cuda_host {
namespace {

thread_local std::string first_error, asked_error;
thread_local Recorder installed = nullptr;

// In CUDA's words; the limits are those of compute capability 8.0 and later.
const char* refusal(const dim3& grid, const dim3& block, size_t shared_bytes) {
  const auto within = [](unsigned value, unsigned most) { return value >= 1 && value <= most; };
  const bool threads = within(block.x, 1024) && within(block.y, 1024) && within(block.z, 64) &&
                       uint64_t{block.x} * block.y * block.z <= 1024;
  const bool blocks = within(grid.x, 0x7fffffffu) && within(grid.y, 65535) && within(grid.z, 65535);
  if (!threads || !blocks) return "invalid configuration argument";
  if (shared_bytes > kSharedLimit) return "invalid argument";
  return nullptr;
}

std::string run(const dim3& grid, const dim3& extents, const std::function<void()>& body) {
  Schedule schedule(schedule_number());
  for (const uint64_t number : schedule.blocks(uint64_t{grid.x} * grid.y * grid.z)) {
    const uint3 index{static_cast<unsigned>(number % grid.x), static_cast<unsigned>(number / grid.x % grid.y),
                      static_cast<unsigned>(number / grid.x / grid.y)};
    std::string wrong = block().run(index, extents, schedule, body);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace

void run_grid(const dim3& grid, const dim3& block, size_t shared_bytes, const std::function<void()>& body) {
  static std::mutex one_at_a_time;
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  std::string wrong;
  if (const char* const refused = refusal(grid, block, shared_bytes)) {
    wrong = refused;
  } else {
    gridDim = grid;
    blockDim = block;
    shared_memory().begin_launch(shared_bytes);
    try {
      wrong = run(grid, block, body);
    } catch (const std::invalid_argument& error) {
      wrong = error.what();
    }
  }
  if (first_error.empty()) first_error = wrong;
}

Recorder recorder() { return installed; }

void record(const Queued& queued) {
  if (!installed(&queued) && first_error.empty()) first_error = "the recorder of launches refused one";
}

const char* launch_error() {
  asked_error = first_error;
  first_error.clear();
  return asked_error.empty() ? nullptr : asked_error.c_str();
}

}  // namespace fastgan::cuda_host

// From now on this thread's launches go to `recorder`; nullptr: they run.
extern "C" __attribute__((visibility("default"))) void fastgan_cuda_host_record(
    fastgan::cuda_host::Recorder recorder) {
  fastgan::cuda_host::installed = recorder;
}

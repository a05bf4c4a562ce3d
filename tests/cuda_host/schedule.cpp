// Schedules: the orders of blocks, of warps and of threads.
#include "schedule.h"

#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <string>

#include "warp.h"

namespace fastgan::cuda_host {

std::vector<uint64_t> Schedule::blocks(uint64_t count) {
  std::vector<uint64_t> order(count);
  std::iota(order.begin(), order.end(), uint64_t{0});
  if (number_ % 2 == 1) {
    std::shuffle(order.begin(), order.end(), random_);
  } else if (number_ != 0) {
    std::reverse(order.begin(), order.end());
  }
  return order;
}

const std::vector<std::vector<unsigned>>& Schedule::groups(unsigned count) {
  const unsigned in_group = runs_ahead() ? kLanes : count;
  if (count != count_) {
    groups_.clear();
    for (unsigned first = 0; first < count; first += in_group) {
      groups_.emplace_back(std::min(in_group, count - first));
      std::iota(groups_.back().begin(), groups_.back().end(), first);
    }
    if (number_ == 2) std::reverse(groups_.begin(), groups_.end());
    count_ = count;
  }
  if (number_ % 2 == 1) std::shuffle(groups_.front().begin(), groups_.front().end(), random_);
  if (runs_ahead() && number_ != 2) std::shuffle(groups_.begin(), groups_.end(), random_);
  return groups_;
}

unsigned schedule_number() {
  const char* const set = std::getenv("FASTGAN_CUDA_HOST_SCHEDULE");
  if (set == nullptr || *set == '\0') return 0;
  const std::string word = set;
  if (word.size() > 9 || word.find_first_not_of("0123456789") != std::string::npos) {
    throw std::invalid_argument("FASTGAN_CUDA_HOST_SCHEDULE must be a number such as 0, 2, 4 or 7, got '" +
                                word + "'");
  }
  return static_cast<unsigned>(std::stoul(word));
}

}  // namespace fastgan::cuda_host

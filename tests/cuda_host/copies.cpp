// Asynchronous copies of 16 bytes, group by group.
#include "copies.h"

#include <cstring>

#include "shared_memory.h"

namespace fastgan::cuda_host {

constexpr size_t kBytes = 16;

void Copies::start(void* shared, const void* global, bool valid) {
  std::memset(shared, kPoison, kBytes);  // hardware may write from now on: nobody may still read here
  open_.push_back({shared, global, valid});
}

void Copies::commit() {
  committed_.push_back(std::move(open_));
  open_.clear();
}

void Copies::wait(size_t pending) {
  while (committed_.size() > pending) {
    for (const Copy& copy : committed_.front()) {
      if (copy.valid) {
        std::memcpy(copy.shared, copy.global, kBytes);
      } else {
        std::memset(copy.shared, 0, kBytes);
      }
    }
    committed_.pop_front();
  }
}

void Copies::forget() {
  open_.clear();
  committed_.clear();
}

}  // namespace fastgan::cuda_host

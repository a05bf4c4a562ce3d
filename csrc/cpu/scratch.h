// Memory that a kernel works in. Each thread keeps its last block for the next call: fresh memory costs a
// page fault for every 4 KiB, which for small work is more than the work.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastgan::cpu {

// `bytes` bytes with any contents, aligned to 64. They nest: of each of kNested depths a thread keeps a
// block, unless it is larger than kKept.
class Scratch {
 public:
  static constexpr size_t kKept = size_t{8} << 20;
  static constexpr int kNested = 3;

  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  T* as() const {
    return static_cast<T*>(memory_);
  }

 private:
  void* memory_;
};

// Bytes that all threads keep now.
int64_t kept_scratch();

}  // namespace fastgan::cpu

// Memory beside a page that nobody may touch: a kernel that leaves its tensor dies on the spot.
#pragma once

#include <cstddef>

namespace fastgan::test {

// Which end of the memory the forbidden page is at. The other end has a margin of known bytes.
enum class Guard { kAfter, kBefore };

class GuardedMemory {
 public:
  // `name` is what failure lines call it. Aligned to nothing wider than a number where the guard is after it.
  GuardedMemory(const char* name, size_t bytes, Guard guard);
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  const char* name() const { return name_; }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // Whether the margin still holds what it was filled with.
  bool margin_is_whole() const;

 private:
  friend void explain_fault(const void* address);

  const char* name_;
  size_t bytes_, mapped_;  // mapped_: the pages between the two forbidden ones
  unsigned char *pages_, *data_;
  GuardedMemory *previous_, *next_;
};

// Writes the line of the fault at `address`; safe in a signal handler.
void explain_fault(const void* address);

// From now on a touched guard page ends the program with a line that names case and tensor.
void report_faults();

}  // namespace fastgan::test

// The program's operator new, which fails when it is told to.
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "checks.h"

namespace {

std::atomic<int64_t> allowed{-1}, live{0};

void* allocate(size_t bytes, size_t alignment) {
  if (allowed >= 0 && allowed-- == 0) throw std::bad_alloc();
  const size_t whole = (bytes + alignment - 1) / alignment * alignment;
  void* const memory = std::aligned_alloc(alignment, whole == 0 ? alignment : whole);
  if (memory == nullptr) throw std::bad_alloc();
  ++live;
  return memory;
}

void release(void* memory) {
  if (memory != nullptr) --live;
  std::free(memory);
}

}  // namespace

void* operator new(size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new[](size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t to) { return allocate(bytes, static_cast<size_t>(to)); }
void* operator new[](size_t bytes, std::align_val_t to) { return allocate(bytes, static_cast<size_t>(to)); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, size_t) noexcept { release(memory); }
void operator delete[](void* memory, size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { release(memory); }

namespace fastgan::test {

// Above zero `allowed` counts down; it stops at -1, so that one allocation fails and later ones do not.
void allow_allocations(int64_t count) { allowed = count; }

int64_t live_allocations() { return live; }

}  // namespace fastgan::test

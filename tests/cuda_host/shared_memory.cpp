// Shared memory: allocated for a launch, poisoned for a block.
#include "shared_memory.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace fastgan::cuda_host {

constexpr size_t kAlignment = 128;

void SharedMemory::Free::operator()(unsigned char* memory) const { std::free(memory); }

SharedMemory::Part SharedMemory::allocate(size_t size) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, size) != 0) throw std::bad_alloc();
  std::memset(memory, kPoison, size);
  Part part;
  part.bytes.reset(static_cast<unsigned char*>(memory));
  part.size = size;
  return part;
}

void SharedMemory::begin_launch(size_t dynamic_bytes) {
  objects_.clear();
  dynamic_ = allocate(dynamic_bytes);
}

void SharedMemory::begin_block() {
  std::memset(dynamic_.bytes.get(), kPoison, dynamic_.size);
  for (auto& [declaration, part] : objects_) std::memset(part.bytes.get(), kPoison, part.size);
}

void* SharedMemory::object(int declaration, size_t bytes) {
  const auto found = objects_.find(declaration);
  if (found != objects_.end()) return found->second.bytes.get();
  if (this->bytes() + bytes > kSharedLimit) return nullptr;
  return objects_.emplace(declaration, allocate(bytes)).first->second.bytes.get();
}

bool SharedMemory::holds(const void* memory, size_t bytes) const {
  const auto within = [=](const Part& part) {
    const auto first = reinterpret_cast<uintptr_t>(part.bytes.get()),
               at = reinterpret_cast<uintptr_t>(memory);
    return at >= first && at + bytes <= first + part.size;
  };
  for (const auto& [declaration, part] : objects_) {
    if (within(part)) return true;
  }
  return within(dynamic_);
}

size_t SharedMemory::bytes() const {
  size_t total = dynamic_.size;
  for (const auto& [declaration, part] : objects_) total += part.size;
  return total;
}

SharedMemory& shared_memory() {
  static SharedMemory memory;
  return memory;
}

int new_declaration() {
  static int declarations = 0;
  return declarations++;
}

}  // namespace fastgan::cuda_host

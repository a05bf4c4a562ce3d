// Shared memory of the block that runs: what the launch asked for, and the objects that kernels declare.
//
// Each lies in an allocation of its own size, for AddressSanitizer, and holds NaN when a block begins.
#pragma once

#include <cstddef>
#include <map>
#include <memory>

namespace fastgan::cuda_host {

constexpr int kPoison = 0xff;
// What one block can have on every device that kernels are built for.
constexpr size_t kSharedLimit = 99 * 1024;

class SharedMemory {
 public:
  void begin_launch(size_t dynamic_bytes);
  void begin_block();

  unsigned char* dynamic() { return dynamic_.bytes.get(); }

  // The object of this declaration, made at its first use in a launch; nullptr where there is no room for it.
  void* object(int declaration, size_t bytes);

  bool holds(const void* memory, size_t bytes) const;
  size_t bytes() const;

 private:
  struct Free {
    void operator()(unsigned char* memory) const;
  };
  struct Part {
    std::unique_ptr<unsigned char, Free> bytes;
    size_t size = 0;
  };
  static Part allocate(size_t size);

  Part dynamic_;
  std::map<int, Part> objects_;
};

SharedMemory& shared_memory();

// A number for each declaration of a kernel.
int new_declaration();

}  // namespace fastgan::cuda_host

// The blocks that threads keep.
#include "cpu/scratch.h"

#include <atomic>
#include <new>

namespace fastgan::cpu {
namespace {

constexpr std::align_val_t kAlignment{64};

std::atomic<int64_t> kept{0};

struct Block {
  void* memory = nullptr;
  size_t size = 0;

  void resize(size_t bytes) {
    ::operator delete(memory, kAlignment);
    memory = nullptr;  // should the next line throw
    kept -= static_cast<int64_t>(size);
    size = 0;
    if (bytes == 0) return;
    memory = ::operator new(bytes, kAlignment);
    size = bytes;
    kept += static_cast<int64_t>(size);
  }

  ~Block() { resize(0); }
};

thread_local Block blocks[Scratch::kNested];
thread_local int depth = 0;  // of those in use

// A sanitizer sees the end of memory only if a block ends where its use does.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kExact = true;
#else
constexpr bool kExact = false;
#endif

}  // namespace

Scratch::Scratch(size_t bytes) {
  if (depth < kNested) {
    Block& block = blocks[depth];
    if (block.size < bytes || (kExact && block.size != bytes)) block.resize(bytes);
    memory_ = block.memory;
  } else {
    memory_ = ::operator new(bytes, kAlignment);
  }
  ++depth;
}

Scratch::~Scratch() {
  if (--depth >= kNested) {
    ::operator delete(memory_, kAlignment);
  } else if (blocks[depth].size > kKept) {
    blocks[depth].resize(0);
  }
}

int64_t kept_scratch() { return kept; }

}  // namespace fastgan::cpu

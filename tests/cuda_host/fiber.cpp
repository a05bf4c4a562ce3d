// Fibers: their stacks, and what AddressSanitizer has to be told about them.
#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace fastgan::cuda_host {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kStackBytes = 1024 * 1024;  // its frames are several times as large
#else
constexpr size_t kStackBytes = 128 * 1024;
#endif

// Of whoever resumes fibers.
struct Outside {
  Context context;
  void* fake_stack = nullptr;
  const void* stack = nullptr;
  size_t stack_bytes = 0;
};

Outside outside;
Fiber* running = nullptr;

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

void* new_stack() {
  const size_t guard = page_bytes();
  void* memory =
      mmap(nullptr, guard + kStackBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  char* stack = static_cast<char*>(memory) + guard;
  if (mprotect(stack, kStackBytes, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  return stack;
}

#ifdef __SANITIZE_ADDRESS__
void begin_switch(void** fake_stack, const void* stack, size_t bytes) {
  __sanitizer_start_switch_fiber(fake_stack, stack, bytes);
}
void end_switch(void* fake_stack, const void** stack, size_t* bytes) {
  __sanitizer_finish_switch_fiber(fake_stack, stack, bytes);
}
void forget_frames(char* stack) { __asan_unpoison_memory_region(stack, kStackBytes); }
#else
void begin_switch(void**, const void*, size_t) {}
void end_switch(void*, const void**, size_t*) {}
void forget_frames(char*) {}
#endif

}  // namespace

Fiber::~Fiber() {
  if (stack_ != nullptr) munmap(stack_ - page_bytes(), page_bytes() + kStackBytes);
}

void Fiber::start(void (*body)()) {
  if (stack_ == nullptr) stack_ = static_cast<char*>(new_stack());
  forget_frames(stack_);
  body_ = body;
  fake_stack_ = nullptr;
  prepare(context_, stack_, kStackBytes, &Fiber::enter);
}

void Fiber::enter() {
  end_switch(nullptr, &outside.stack, &outside.stack_bytes);
  running->body_();
  for (;;) leave();
}

void Fiber::resume() {
  running = this;
  begin_switch(&outside.fake_stack, stack_, kStackBytes);
  switch_contexts(outside.context, context_);
  end_switch(outside.fake_stack, nullptr, nullptr);
  running = nullptr;
}

void Fiber::leave() {
  Fiber* const self = running;
  begin_switch(&self->fake_stack_, outside.stack, outside.stack_bytes);
  switch_contexts(self->context_, outside.context);
  end_switch(self->fake_stack_, &outside.stack, &outside.stack_bytes);
}

}  // namespace fastgan::cuda_host

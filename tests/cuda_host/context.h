// Where a thread of execution stands: saved when another one goes on, on the same thread of the machine.
#pragma once

#include <cstddef>

#if defined(__x86_64__) && !defined(FASTGAN_UCONTEXT)
#define FASTGAN_SWITCH_IN_ASSEMBLY
#else
#include <ucontext.h>
#endif

namespace fastgan::cuda_host {

#ifdef FASTGAN_SWITCH_IN_ASSEMBLY
struct Context {
  void* stack_pointer = nullptr;
};
#else
struct Context {
  ucontext_t state;
};
#endif

// The next switch to `context` calls entry(), which must not return, on the `size` bytes from `stack`.
void prepare(Context& context, char* stack, size_t size, void (*entry)());

// Goes on where `to` was left; returns when somebody switches to `from`.
void switch_contexts(Context& from, Context& to);

}  // namespace fastgan::cuda_host

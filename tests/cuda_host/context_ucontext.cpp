// Switches of contexts by the C library, where there is no assembly for the machine: right, and several times
// slower.
#include "context.h"

#ifndef FASTGAN_SWITCH_IN_ASSEMBLY

namespace fastgan::cuda_host {

void prepare(Context& context, char* stack, size_t size, void (*entry)()) {
  getcontext(&context.state);
  context.state.uc_stack.ss_sp = stack;
  context.state.uc_stack.ss_size = size;
  context.state.uc_link = nullptr;
  makecontext(&context.state, entry, 0);
}

void switch_contexts(Context& from, Context& to) { swapcontext(&from.state, &to.state); }

}  // namespace fastgan::cuda_host

#endif

// Switches of contexts on x86-64: what the calling convention preserves, and the stack pointer.
#include "context.h"

#ifdef FASTGAN_SWITCH_IN_ASSEMBLY

extern "C" void fastgan_switch_stacks(void** saved, void* loaded);

asm(R"(
.text
.globl fastgan_switch_stacks
.hidden fastgan_switch_stacks
.type fastgan_switch_stacks, @function
fastgan_switch_stacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size fastgan_switch_stacks, . - fastgan_switch_stacks
)");

namespace fastgan::cuda_host {

void prepare(Context& context, char* stack, size_t size, void (*entry)()) {
  constexpr int kRegisters = 6;
  // Room above: a function begins with its stack 8 bytes past a multiple of 16, at the address to return to.
  auto* top = reinterpret_cast<void**>(stack + size - 64);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < kRegisters; ++i) *--top = nullptr;
  context.stack_pointer = top;
}

void switch_contexts(Context& from, Context& to) {
  fastgan_switch_stacks(&from.stack_pointer, to.stack_pointer);
}

}  // namespace fastgan::cuda_host

#endif

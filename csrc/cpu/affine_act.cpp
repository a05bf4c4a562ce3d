// affine_act on the CPU: its capability tables.
#include "cpu/affine_act.h"

#include "cpu/capability.h"

namespace fastgan::cpu {

void affine_act(const AffineActArguments& arguments, ParallelFor pool) {
  static constexpr Table<decltype(&affine_act_default)> kTable{
      {&affine_act_default, FASTGAN_X86(&affine_act_avx2), FASTGAN_X86(&affine_act_avx512)}};
  select(kTable)(arguments, pool);
}

void affine_act_backward(const AffineActBackwardArguments& arguments, ParallelFor pool) {
  static constexpr Table<decltype(&affine_act_backward_default)> kTable{
      {&affine_act_backward_default, FASTGAN_X86(&affine_act_backward_avx2),
       FASTGAN_X86(&affine_act_backward_avx512)}};
  select(kTable)(arguments, pool);
}

}  // namespace fastgan::cpu

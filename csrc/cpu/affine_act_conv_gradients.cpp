// The gradients of affine_act_conv on the CPU: the kernels by capability. Apart from the forward pass, so
// that a library that only generates is linked without them.
#include "cpu/affine_act_conv.h"
#include "cpu/capability.h"

namespace fastgan::cpu {

void affine_act_conv_input_grad(const AffineActConvInputGradArguments& arguments, ParallelFor pool) {
  static constexpr Table<decltype(&affine_act_conv_input_grad_default)> kTable{
      {&affine_act_conv_input_grad_default, FASTGAN_X86(&affine_act_conv_input_grad_avx2),
       FASTGAN_X86(&affine_act_conv_input_grad_avx512)}};
  select(kTable)(arguments, pool);
}

void affine_act_conv_weight_grad(const AffineActConvWeightGradArguments& arguments, ParallelFor pool) {
  static constexpr Table<decltype(&affine_act_conv_weight_grad_default)> kTable{
      {&affine_act_conv_weight_grad_default, FASTGAN_X86(&affine_act_conv_weight_grad_avx2),
       FASTGAN_X86(&affine_act_conv_weight_grad_avx512)}};
  select(kTable)(arguments, pool);
}

}  // namespace fastgan::cpu

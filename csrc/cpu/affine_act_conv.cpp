// affine_act_conv on the CPU, forward: the kernels by capability.
#include "cpu/affine_act_conv.h"

#include "cpu/capability.h"

namespace fastgan::cpu {

PackedWeight pack_weight(const Convolution& shape, ElementType type, const void* weight,
                         const int64_t (&stride)[4], void* packed, ParallelFor pool) {
  static constexpr Table<decltype(&pack_weight_default)> kTable{
      {&pack_weight_default, FASTGAN_X86(&pack_weight_avx2), FASTGAN_X86(&pack_weight_avx512)}};
  const PackWeightArguments arguments{
      shape, type, weight, {stride[0], stride[1], stride[2], stride[3]}, packed};
  return {packed, select(kTable)(arguments, pool)};
}

void affine_act_conv(const AffineActConvArguments& arguments, ParallelFor pool) {
  static constexpr Table<decltype(&affine_act_conv_default)> kTable{
      {&affine_act_conv_default, FASTGAN_X86(&affine_act_conv_avx2), FASTGAN_X86(&affine_act_conv_avx512)}};
  select(kTable)(arguments, pool);
}

}  // namespace fastgan::cpu

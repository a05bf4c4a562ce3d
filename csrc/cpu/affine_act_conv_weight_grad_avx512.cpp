// affine_act_conv, the weight gradient, with AVX-512.
#if defined(__x86_64__)
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "common/half.h"
#include "cpu/affine_act_conv.h"
#include "cpu/scratch.h"

// clang-format off
#include "cpu/avx512_begin.h"
#include "cpu/vector.h"
#include "cpu/feature_rows.h"
#include "cpu/minimal_transforms.h"
#include "cpu/minimal_weight_grad_kernel.h"
#include "cpu/patches.h"
#include "cpu/patch_weight_grad_kernel.h"
#include "cpu/affine_act_conv_weight_grad_kernel.h"
// clang-format on

namespace fastgan::cpu {

void affine_act_conv_weight_grad_avx512(const AffineActConvWeightGradArguments& arguments, ParallelFor pool) {
  run_weight_grad(arguments, pool);
}

}  // namespace fastgan::cpu

#include "cpu/region_end.h"
#endif

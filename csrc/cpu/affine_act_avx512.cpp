// affine_act with AVX-512. Without contraction: elementwise results have the bits of stock torch.
#if defined(__x86_64__)
#include <algorithm>
#include <cmath>
#include <vector>

#include "common/half.h"
#include "common/pixel.h"
#include "cpu/affine_act.h"

// clang-format off
#include "cpu/avx512_begin.h"
#include "cpu/channel_rows.h"
#include "cpu/affine_act_kernel.h"
// clang-format on

namespace fastgan::cpu {

void affine_act_avx512(const AffineActArguments& arguments, ParallelFor pool) {
  run_affine_act(arguments, pool);
}

void affine_act_backward_avx512(const AffineActBackwardArguments& arguments, ParallelFor pool) {
  run_affine_act_backward(arguments, pool);
}

}  // namespace fastgan::cpu

#include "cpu/region_end.h"
#endif

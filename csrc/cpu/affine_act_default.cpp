// affine_act for the compiler's baseline.
#include <algorithm>
#include <cmath>
#include <vector>

#include "common/half.h"
#include "common/pixel.h"
#include "cpu/affine_act.h"

// clang-format off
#include "cpu/channel_rows.h"
#include "cpu/affine_act_kernel.h"
// clang-format on

namespace fastgan::cpu {

void affine_act_default(const AffineActArguments& arguments, ParallelFor pool) {
  run_affine_act(arguments, pool);
}

void affine_act_backward_default(const AffineActBackwardArguments& arguments, ParallelFor pool) {
  run_affine_act_backward(arguments, pool);
}

}  // namespace fastgan::cpu

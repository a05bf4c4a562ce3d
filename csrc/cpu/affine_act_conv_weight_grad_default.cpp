// affine_act_conv, the weight gradient, for the compiler's baseline.
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
#include "cpu/vector.h"
#include "cpu/feature_rows.h"
#include "cpu/minimal_transforms.h"
#include "cpu/minimal_weight_grad_kernel.h"
#include "cpu/patches.h"
#include "cpu/patch_weight_grad_kernel.h"
#include "cpu/affine_act_conv_weight_grad_kernel.h"
// clang-format on

namespace fastgan::cpu {

void affine_act_conv_weight_grad_default(const AffineActConvWeightGradArguments& arguments,
                                         ParallelFor pool) {
  run_weight_grad(arguments, pool);
}

}  // namespace fastgan::cpu

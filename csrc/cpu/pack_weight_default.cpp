// pack_weight for the compiler's baseline.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

#include "common/half.h"
#include "cpu/affine_act_conv.h"

// clang-format off
#include "cpu/vector.h"
#include "cpu/feature_rows.h"
#include "cpu/pack_weight_kernel.h"
// clang-format on

namespace fastgan::cpu {

bool pack_weight_default(const PackWeightArguments& arguments, ParallelFor pool) {
  return run_pack_weight(arguments, pool);
}

}  // namespace fastgan::cpu

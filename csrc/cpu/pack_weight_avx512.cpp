// pack_weight with AVX-512.
#if defined(__x86_64__)
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

#include "common/half.h"
#include "cpu/affine_act_conv.h"

// clang-format off
#include "cpu/avx512_begin.h"
#include "cpu/vector.h"
#include "cpu/feature_rows.h"
#include "cpu/pack_weight_kernel.h"
// clang-format on

namespace fastgan::cpu {

bool pack_weight_avx512(const PackWeightArguments& arguments, ParallelFor pool) {
  return run_pack_weight(arguments, pool);
}

}  // namespace fastgan::cpu

#include "cpu/region_end.h"
#endif

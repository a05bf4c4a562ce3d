// affine_act_conv, forward, with AVX-512.
#if defined(__x86_64__)
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/half.h"
#include "common/moments.h"
#include "cpu/affine_act_conv.h"
#include "cpu/scratch.h"

// clang-format off
#include "cpu/avx512_begin.h"
#include "cpu/vector.h"
#include "cpu/feature_rows.h"
#include "cpu/channel_moments.h"
#include "cpu/affine_act_conv_kernel.h"
#include "cpu/minimal_transforms.h"
#include "cpu/tile_products.h"
#include "cpu/pair_weights.h"
#include "cpu/quad_weights.h"
#include "cpu/minimal_correlation_kernel.h"
#include "cpu/narrow_correlation_kernel.h"
#include "cpu/patches.h"
#include "cpu/patch_correlation_kernel.h"
#include "cpu/correlate.h"
#include "cpu/vector_sums.h"
#include "cpu/affine_act_conv_forward_kernel.h"
// clang-format on

namespace fastgan::cpu {

void affine_act_conv_avx512(const AffineActConvArguments& arguments, ParallelFor pool) {
  run_forward(arguments, pool);
}

}  // namespace fastgan::cpu

#include "cpu/region_end.h"
#endif

// channel_statistics with AVX-512.
#if defined(__x86_64__)
#include <algorithm>
#include <cmath>
#include <vector>

#include "common/half.h"
#include "common/moments.h"
#include "cpu/channel_statistics.h"

// clang-format off
#include "cpu/avx512_begin.h"
#include "cpu/channel_rows.h"
#include "cpu/channel_moments.h"
#include "cpu/channel_statistics_kernel.h"
// clang-format on

namespace fastgan::cpu {

void channel_statistics_avx512(const ChannelStatisticsArguments& arguments, ParallelFor pool) {
  run_channel_statistics(arguments, pool);
}

void channel_statistics_backward_avx512(const ChannelStatisticsBackwardArguments& arguments,
                                        ParallelFor pool) {
  run_channel_statistics_backward(arguments, pool);
}

}  // namespace fastgan::cpu

#include "cpu/region_end.h"
#endif

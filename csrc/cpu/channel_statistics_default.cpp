// channel_statistics for the compiler's baseline.
#include <algorithm>
#include <cmath>
#include <vector>

#include "common/half.h"
#include "common/moments.h"
#include "cpu/channel_statistics.h"

// clang-format off
#include "cpu/channel_rows.h"
#include "cpu/channel_moments.h"
#include "cpu/channel_statistics_kernel.h"
// clang-format on

namespace fastgan::cpu {

void channel_statistics_default(const ChannelStatisticsArguments& arguments, ParallelFor pool) {
  run_channel_statistics(arguments, pool);
}

void channel_statistics_backward_default(const ChannelStatisticsBackwardArguments& arguments,
                                         ParallelFor pool) {
  run_channel_statistics_backward(arguments, pool);
}

}  // namespace fastgan::cpu

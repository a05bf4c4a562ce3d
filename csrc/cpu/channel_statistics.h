// channel_statistics and its gradient on the CPU: passes over dense feature maps [N, C, H, W].
#pragma once

#include "common/element_type.h"
#include "cpu/map_tiles.h"
#include "cpu/parallel.h"

namespace fastgan::cpu {

struct ChannelStatisticsArguments {
  ElementType type;
  MapShape shape;
  const void* output;
  const void* bias;  // [C] in the stored type, or nullptr
  // In the compute type: of output less bias, NaN where there is nothing.
  void* mean;  // [C]
  void* var;   // [C], biased
};

void channel_statistics(const ChannelStatisticsArguments& arguments, ParallelFor pool);

// d_output = grad_output + grad_mean / n + 2 grad_var (output - bias - mean) / n; what is absent is zero.
struct ChannelStatisticsBackwardArguments {
  ElementType type;
  MapShape shape;           // of grad_output, output and d_output alike
  const void* grad_output;  // or nullptr
  const void* grad_mean;    // [C] in the compute type, or nullptr, as are the next two
  const void* grad_var;
  const void* mean;  // this and the next two are read with grad_var only
  const void* output;
  const void* bias;  // [C] in the stored type, or nullptr
  void* d_output;
};

void channel_statistics_backward(const ChannelStatisticsBackwardArguments& arguments, ParallelFor pool);

void channel_statistics_default(const ChannelStatisticsArguments& arguments, ParallelFor pool);
void channel_statistics_avx2(const ChannelStatisticsArguments& arguments, ParallelFor pool);
void channel_statistics_avx512(const ChannelStatisticsArguments& arguments, ParallelFor pool);
void channel_statistics_backward_default(const ChannelStatisticsBackwardArguments& arguments,
                                         ParallelFor pool);
void channel_statistics_backward_avx2(const ChannelStatisticsBackwardArguments& arguments, ParallelFor pool);
void channel_statistics_backward_avx512(const ChannelStatisticsBackwardArguments& arguments,
                                        ParallelFor pool);

}  // namespace fastgan::cpu

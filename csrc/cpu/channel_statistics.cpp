// channel_statistics on the CPU: its capability tables.
#include "cpu/channel_statistics.h"

#include "cpu/capability.h"

namespace fastgan::cpu {

void channel_statistics(const ChannelStatisticsArguments& arguments, ParallelFor pool) {
  static constexpr Table<decltype(&channel_statistics_default)> kTable{
      {&channel_statistics_default, FASTGAN_X86(&channel_statistics_avx2),
       FASTGAN_X86(&channel_statistics_avx512)}};
  select(kTable)(arguments, pool);
}

void channel_statistics_backward(const ChannelStatisticsBackwardArguments& arguments, ParallelFor pool) {
  static constexpr Table<decltype(&channel_statistics_backward_default)> kTable{
      {&channel_statistics_backward_default, FASTGAN_X86(&channel_statistics_backward_avx2),
       FASTGAN_X86(&channel_statistics_backward_avx512)}};
  select(kTable)(arguments, pool);
}

}  // namespace fastgan::cpu

// gan_loss on the CPU: its capability table.
#include "cpu/gan_loss.h"

#include "cpu/capability.h"

namespace fastgan::cpu {

void gan_loss(const GanLossArguments& arguments, ParallelFor pool) {
  static constexpr Table<decltype(&gan_loss_default)> kTable{{&gan_loss_default}};
  select(kTable)(arguments, pool);
}

}  // namespace fastgan::cpu

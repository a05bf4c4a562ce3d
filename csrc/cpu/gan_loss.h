// gan_loss on the CPU: the entry that picks a capability, and the kernel of each.
#pragma once

#include "common/gan_loss.h"
#include "cpu/parallel.h"

namespace fastgan::cpu {

// Fills every output of `arguments`. Same inputs, same bits, whatever the pool does.
void gan_loss(const GanLossArguments& arguments, ParallelFor pool);

void gan_loss_default(const GanLossArguments& arguments, ParallelFor pool);

}  // namespace fastgan::cpu

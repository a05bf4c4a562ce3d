// gan_loss on CUDA: the plain-C launcher the torch binding calls.
#pragma once

#include "common/gan_loss.h"

// Queues the op on `stream`; every pointer is device memory. `partial` holds kGanLossSums doubles per tile.
// Returns nullptr, or in one sentence what is wrong.
extern "C" const char* fastgan_cuda_gan_loss(const fastgan::GanLossArguments* arguments, void* partial,
                                             void* stream);

// affine_act and its gradients on CUDA: the plain-C launchers the torch binding calls.
#pragma once

#include "common/affine_act_arguments.h"

extern "C" {

// These queue the op on `stream`; every pointer is device memory. They allocate nothing and do not
// synchronise. Each returns nullptr, or what went wrong.
const char* fastgan_cuda_affine_act(const fastgan::AffineActArguments* arguments, void* stream);

// partial: fastgan_cuda_affine_act_partial doubles, which need not be cleared; nullptr for none.
const char* fastgan_cuda_affine_act_backward(const fastgan::AffineActBackwardArguments* arguments,
                                             void* partial, void* stream);

// 0 where no sums are wanted.
int64_t fastgan_cuda_affine_act_partial(const fastgan::AffineActBackwardArguments* arguments);

}  // extern "C"

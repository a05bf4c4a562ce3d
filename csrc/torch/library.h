// Which operator library a binding goes into, and with which of its halves.
//
// fastgan_C has the CPU half and, where nvcc compiled the kernels, the CUDA half. Where FASTGAN_CUDA_ON_HOST
// is defined (tests/cuda_host), the CUDA half alone goes into another library, for CPU tensors: its kernels
// are then the host compiler's. Schemas belong to both. A binding writes
//
//   STABLE_TORCH_LIBRARY_FRAGMENT(FASTGAN_LIBRARY, m) { m.def(...); }
//   #ifdef FASTGAN_WITH_CPU
//   STABLE_TORCH_LIBRARY_IMPL(FASTGAN_LIBRARY, CPU, m) { ... }
//   #endif
//   #ifdef FASTGAN_WITH_CUDA
//   STABLE_TORCH_LIBRARY_IMPL(FASTGAN_LIBRARY, FASTGAN_CUDA_KEY, m) { ... }
//   #endif
#pragma once

#include <torch/csrc/stable/library.h>

#ifdef FASTGAN_CUDA_ON_HOST
#define FASTGAN_LIBRARY fastgan_cuda_host
#define FASTGAN_CUDA_KEY CPU
#else
#define FASTGAN_LIBRARY fastgan_C
#define FASTGAN_CUDA_KEY CUDA
#define FASTGAN_WITH_CPU
#endif

// What differs between the host compiler and nvcc, so that scalar maths is written once.
#pragma once

#ifdef __CUDACC__
#define FASTGAN_HOST_DEVICE __host__ __device__
#else
#define FASTGAN_HOST_DEVICE
#endif

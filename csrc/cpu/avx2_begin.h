// Opens a region of AVX2 and FMA code; region_end.h closes it. Include everything else before it: an inline
// function compiled in here could be the copy that the linker keeps for machines without AVX2.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define FASTGAN_VECTOR_BYTES 32

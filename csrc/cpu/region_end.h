// Closes the region of avx2_begin.h or avx512_begin.h.
#undef FASTGAN_VECTOR_BYTES
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

// The multiply-add peak of this machine, measured: the yardstick of the benchmarks.
#pragma once

namespace fastgan::cpu {

// Operations a second (a multiplication or an addition each) of float32 multiply-adds between registers, with
// the capability in force, all threads at once for about `seconds`. Plain multiplications and additions where
// the capability has no fused ones.
double fma_peak(int threads, double seconds);

}  // namespace fastgan::cpu

// fma_peak: independent accumulators in registers, enough of them to hide the latency of a multiply-add.
#include "cpu/fma_peak.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "cpu/capability.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fastgan::cpu {
namespace {

constexpr int64_t kSteps = 20000;  // between two looks at the clock

// Every accumulator tends to 1: no infinities, no denormals.
constexpr float kFactor = 0.5f, kAddend = 0.5f;

// What one call of a kernel computes: operations, and a number that keeps the compiler from dropping them.
struct Work {
  double operations;
  float value;
};

// Plain C++: four floats a vector, as many accumulators as the smallest register file holds.
Work default_kernel() {
  typedef float Four __attribute__((vector_size(16)));
  constexpr int kCount = 12;
  Four sums[kCount] = {};
  for (int64_t step = 0; step < kSteps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kCount; ++i) sums[i] = sums[i] * kFactor + kAddend;
  }
  Four total = {};
  for (const Four& each : sums) total += each;
  return {2.0 * 4 * kCount * kSteps, total[0] + total[1] + total[2] + total[3]};
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) Work avx2_kernel() {
  constexpr int kCount = 12;
  const __m256 factor = _mm256_set1_ps(kFactor), addend = _mm256_set1_ps(kAddend);
  __m256 sums[kCount];
  for (__m256& each : sums) each = _mm256_setzero_ps();
  for (int64_t step = 0; step < kSteps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kCount; ++i) sums[i] = _mm256_fmadd_ps(sums[i], factor, addend);
  }
  __m256 total = sums[0];
  for (int i = 1; i < kCount; ++i) total = _mm256_add_ps(total, sums[i]);
  return {2.0 * 8 * kCount * kSteps, _mm256_cvtss_f32(total)};
}

__attribute__((target("avx512f"))) Work avx512_kernel() {
  constexpr int kCount = 24;
  const __m512 factor = _mm512_set1_ps(kFactor), addend = _mm512_set1_ps(kAddend);
  __m512 sums[kCount];
  for (__m512& each : sums) each = _mm512_setzero_ps();
  for (int64_t step = 0; step < kSteps; ++step) {
#pragma GCC unroll 24
    for (int i = 0; i < kCount; ++i) sums[i] = _mm512_fmadd_ps(sums[i], factor, addend);
  }
  __m512 total = sums[0];
  for (int i = 1; i < kCount; ++i) total = _mm512_add_ps(total, sums[i]);
  return {2.0 * 16 * kCount * kSteps, _mm512_cvtss_f32(total)};
}
#endif

constexpr Table<Work (*)()> kKernels = {
    {&default_kernel, FASTGAN_X86(&avx2_kernel), FASTGAN_X86(&avx512_kernel)}};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// One thread's operations a second, from the moment that all are there.
double run(Work (*kernel)(), std::atomic<int>& absent, double seconds) {
  static std::atomic<float> sink;
  --absent;
  while (absent.load() > 0) std::this_thread::yield();
  const auto start = std::chrono::steady_clock::now();
  double operations = 0.0, elapsed = 0.0;
  while (elapsed < seconds) {
    const Work done = kernel();
    sink.store(done.value, std::memory_order_relaxed);
    operations += done.operations;
    elapsed = seconds_since(start);
  }
  return operations / elapsed;
}

}  // namespace

double fma_peak(int threads, double seconds) {
  Work (*const kernel)() = select(kKernels);
  std::atomic<int> absent{threads};
  std::vector<double> speeds(threads);
  std::vector<std::thread> pool;
  for (double& speed : speeds) {
    pool.emplace_back([&speed, kernel, &absent, seconds] { speed = run(kernel, absent, seconds); });
  }
  for (std::thread& each : pool) each.join();
  double total = 0.0;
  for (const double speed : speeds) total += speed;
  return total;
}

}  // namespace fastgan::cpu

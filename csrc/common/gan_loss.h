// gan_loss: the families, their scalar maths, and the plain structs every backend of the op shares.
//
// A family is a term of each real logit and of each fake logit (rpgan: of each pair). d_loss is the mean of
// the real terms plus the mean of the fake ones, g_loss the mean of the fake terms of the generator. `slope`
// is the derivative of a term. Formulas and sources: fastgan/losses.py; the definition:
// fastgan/reference/gan_loss.py.
#pragma once

#include <cstdint>

#include "common/element_type.h"
#include "common/macros.h"
#include "common/softplus.h"

namespace fastgan {

// The values are the order of FAMILIES in fastgan/reference/gan_loss.py.
enum class GanLossFamily : int64_t { kNonSaturating = 0, kHinge, kLeastSquares, kWasserstein, kRpgan };

// Elements a partial sum covers: fixed, so that sums do not depend on threads.
constexpr int64_t kGanLossTile = 1024;

struct GanLossArguments {
  GanLossFamily family;
  ElementType type;    // of the logits
  const void* real;    // [real_count], nullptr when real_count is 0
  int64_t real_count;  // 0: the real half of d_loss is left out
  const void* fake;    // [fake_count]
  int64_t fake_count;
  // Outputs: double for logits in double, else float.
  void* d_loss;       // [1]
  void* g_loss;       // [1]
  void* statistics;   // [4] real_mean, fake_mean, real_sign_rate, fake_sign_rate
  void* d_grad_real;  // [real_count]
  void* d_grad_fake;  // [fake_count]
  void* g_grad_real;  // [real_count] for rpgan, else nullptr
  void* g_grad_fake;  // [fake_count]
};

struct GanLossSums {
  double real_loss = 0, fake_loss = 0, g_loss = 0;
  double real = 0, fake = 0, real_positive = 0, fake_positive = 0;
};
constexpr int kGanLossSums = 7;

FASTGAN_HOST_DEVICE inline void add(GanLossSums& total, const GanLossSums& part) {
  total.real_loss += part.real_loss;
  total.fake_loss += part.fake_loss;
  total.g_loss += part.g_loss;
  total.real += part.real;
  total.fake += part.fake;
  total.real_positive += part.real_positive;
  total.fake_positive += part.fake_positive;
}

inline int64_t gan_loss_tiles(int64_t real_count, int64_t fake_count) {
  const int64_t longer = real_count > fake_count ? real_count : fake_count;
  return (longer + kGanLossTile - 1) / kGanLossTile;
}

template <class T>
struct RealTerm {
  T loss, slope;
};

template <class T>
struct FakeTerm {
  T d_loss, d_slope, g_loss, g_slope;
};

// Both losses of a relativistic pair depend on real - fake alone: the slopes for `fake` are the negated ones.
template <class T>
struct PairTerm {
  T d_loss, d_slope_real, g_loss, g_slope_real;
};

template <GanLossFamily family>
struct GanLossTerms;

template <>
struct GanLossTerms<GanLossFamily::kNonSaturating> {
  template <class T>
  FASTGAN_HOST_DEVICE static RealTerm<T> real(T x) {
    const SoftplusSigmoid<T> minus = softplus_sigmoid(-x);
    return {minus.softplus, -minus.sigmoid};
  }
  template <class T>
  FASTGAN_HOST_DEVICE static FakeTerm<T> fake(T x) {
    const T e = exp_of_negative(x < T(0) ? -x : x);
    const T log_term = log1p_unit(e);
    const T larger = T(1) / (T(1) + e), smaller = e * larger;
    const T above = x > T(0) ? x : T(0), below = x < T(0) ? -x : T(0);
    return {above + log_term, x < T(0) ? smaller : larger, below + log_term, -(x < T(0) ? larger : smaller)};
  }
};

// Comparisons are written so that a NaN logit gives a NaN term and, as in torch, a finite slope.
template <>
struct GanLossTerms<GanLossFamily::kHinge> {
  template <class T>
  FASTGAN_HOST_DEVICE static RealTerm<T> real(T x) {
    const T gap = T(1) - x;
    return {gap <= T(0) ? T(0) : gap, gap <= T(0) ? T(0) : T(-1)};
  }
  template <class T>
  FASTGAN_HOST_DEVICE static FakeTerm<T> fake(T x) {
    const T gap = T(1) + x;
    return {gap <= T(0) ? T(0) : gap, gap <= T(0) ? T(0) : T(1), -x, T(-1)};
  }
};

template <>
struct GanLossTerms<GanLossFamily::kLeastSquares> {
  template <class T>
  FASTGAN_HOST_DEVICE static RealTerm<T> real(T x) {
    const T gap = x - T(1);
    return {T(0.5) * gap * gap, gap};
  }
  template <class T>
  FASTGAN_HOST_DEVICE static FakeTerm<T> fake(T x) {
    const T gap = x - T(1);
    return {T(0.5) * x * x, x, T(0.5) * gap * gap, gap};
  }
};

template <>
struct GanLossTerms<GanLossFamily::kWasserstein> {
  template <class T>
  FASTGAN_HOST_DEVICE static RealTerm<T> real(T x) {
    return {-x, T(-1)};
  }
  template <class T>
  FASTGAN_HOST_DEVICE static FakeTerm<T> fake(T x) {
    return {x, T(1), -x, T(-1)};
  }
};

template <>
struct GanLossTerms<GanLossFamily::kRpgan> {
  template <class T>
  FASTGAN_HOST_DEVICE static PairTerm<T> pair(T real, T fake) {
    const FakeTerm<T> both = GanLossTerms<GanLossFamily::kNonSaturating>::fake(real - fake);
    return {both.g_loss, both.g_slope, both.d_loss, both.d_slope};
  }
};

// Means from sums, the last step of every backend. rpgan keeps its pair loss in fake_loss.
template <class Out>
FASTGAN_HOST_DEVICE inline void finish(const GanLossSums& sums, int64_t real_count, int64_t fake_count,
                                       Out* d_loss, Out* g_loss, Out* statistics) {
  const double reals =
      real_count > 0 ? static_cast<double>(real_count) : 1.0;  // without reals their sums are 0
  const double fakes = static_cast<double>(fake_count);
  *d_loss = static_cast<Out>(sums.real_loss / reals + sums.fake_loss / fakes);
  *g_loss = static_cast<Out>(sums.g_loss / fakes);
  statistics[0] = static_cast<Out>(sums.real / reals);
  statistics[1] = static_cast<Out>(sums.fake / fakes);
  statistics[2] = static_cast<Out>(sums.real_positive / reals);
  statistics[3] = static_cast<Out>(sums.fake_positive / fakes);
}

}  // namespace fastgan

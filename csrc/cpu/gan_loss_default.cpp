// gan_loss in plain C++: tiles of fixed size, summed in double and merged in tile order.
//
// Per tile: widen the logits, write terms and gradients in loops the compiler vectorises, then sum the terms.
#include <algorithm>
#include <vector>

#include "common/half.h"
#include "cpu/gan_loss.h"

namespace fastgan::cpu {
namespace {

// One tile of logits, and what is computed from them, in the compute type (float, or double for double).
// Slopes are kept here before they go out scaled: the compiler knows that members do not overlap, and
// vectorises.
template <class T>
struct Tile {
  T real[kGanLossTile], fake[kGanLossTile];
  T real_loss[kGanLossTile], fake_loss[kGanLossTile], g_loss[kGanLossTile];
  T real_slope[kGanLossTile], fake_slope[kGanLossTile], g_slope[kGanLossTile];
};

template <class In, class T>
void widen(const void* source, int64_t first, int64_t count, T* target) {
  const In* in = static_cast<const In*>(source) + first;
  for (int64_t i = 0; i < count; ++i) target[i] = to_compute(in[i]);
}

// Eight running sums in a fixed pattern: enough for the compiler to use vectors, the same for every caller.
template <class T>
double sum(const T* values, int64_t count) {
  double lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int lane = 0; lane < 8; ++lane) lanes[lane] += static_cast<double>(values[i + lane]);
  }
  for (int lane = 0; i < count; ++i, ++lane) lanes[lane] += static_cast<double>(values[i]);
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

template <class T>
double count_positive(const T* values, int64_t count) {
  int32_t positive = 0;
  for (int64_t i = 0; i < count; ++i) positive += values[i] > T(0) ? 1 : 0;
  return positive;
}

template <class T>
void scale(const T* values, int64_t count, T factor, void* base, int64_t first) {
  T* const out = static_cast<T*>(base) + first;
  for (int64_t i = 0; i < count; ++i) out[i] = values[i] * factor;
}

template <GanLossFamily family, class T>
void separate_terms(Tile<T>& tile, int64_t reals, int64_t fakes) {
  using Terms = GanLossTerms<family>;
  for (int64_t i = 0; i < reals; ++i) {
    const RealTerm<T> term = Terms::real(tile.real[i]);
    tile.real_loss[i] = term.loss;
    tile.real_slope[i] = term.slope;
  }
  for (int64_t i = 0; i < fakes; ++i) {
    const FakeTerm<T> term = Terms::fake(tile.fake[i]);
    tile.fake_loss[i] = term.d_loss;
    tile.fake_slope[i] = term.d_slope;
    tile.g_loss[i] = term.g_loss;
    tile.g_slope[i] = term.g_slope;
  }
}

// The slopes are those by `real`; their negatives are those by `fake`.
template <class T>
void pair_terms(Tile<T>& tile, int64_t pairs) {
  for (int64_t i = 0; i < pairs; ++i) {
    const PairTerm<T> term = GanLossTerms<GanLossFamily::kRpgan>::pair(tile.real[i], tile.fake[i]);
    tile.real_loss[i] = T(0);
    tile.fake_loss[i] = term.d_loss;
    tile.real_slope[i] = term.d_slope_real;
    tile.g_loss[i] = term.g_loss;
    tile.g_slope[i] = term.g_slope_real;
  }
}

template <class T>
void terms(GanLossFamily family, Tile<T>& tile, int64_t reals, int64_t fakes) {
  switch (family) {
    case GanLossFamily::kNonSaturating:
      return separate_terms<GanLossFamily::kNonSaturating>(tile, reals, fakes);
    case GanLossFamily::kHinge:
      return separate_terms<GanLossFamily::kHinge>(tile, reals, fakes);
    case GanLossFamily::kLeastSquares:
      return separate_terms<GanLossFamily::kLeastSquares>(tile, reals, fakes);
    case GanLossFamily::kWasserstein:
      return separate_terms<GanLossFamily::kWasserstein>(tile, reals, fakes);
    case GanLossFamily::kRpgan:
      return pair_terms(tile, fakes);
  }
}

template <class T>
void write_gradients(const GanLossArguments& a, const Tile<T>& tile, int64_t first, int64_t reals,
                     int64_t fakes) {
  const T per_fake = T(1) / static_cast<T>(a.fake_count);
  if (a.family == GanLossFamily::kRpgan) {
    scale(tile.real_slope, fakes, per_fake, a.d_grad_real, first);
    scale(tile.real_slope, fakes, -per_fake, a.d_grad_fake, first);
    scale(tile.g_slope, fakes, per_fake, a.g_grad_real, first);
    scale(tile.g_slope, fakes, -per_fake, a.g_grad_fake, first);
    return;
  }
  if (reals > 0) scale(tile.real_slope, reals, T(1) / static_cast<T>(a.real_count), a.d_grad_real, first);
  if (fakes > 0) scale(tile.fake_slope, fakes, per_fake, a.d_grad_fake, first);
  if (fakes > 0) scale(tile.g_slope, fakes, per_fake, a.g_grad_fake, first);
}

template <class In, class T>
GanLossSums one_tile(const GanLossArguments& a, int64_t index) {
  const int64_t first = index * kGanLossTile;
  const int64_t reals = std::clamp<int64_t>(a.real_count - first, 0, kGanLossTile);
  const int64_t fakes = std::clamp<int64_t>(a.fake_count - first, 0, kGanLossTile);
  Tile<T> tile;
  if (reals > 0) widen<In>(a.real, first, reals, tile.real);
  if (fakes > 0) widen<In>(a.fake, first, fakes, tile.fake);
  terms(a.family, tile, reals, fakes);
  write_gradients(a, tile, first, reals, fakes);
  return {sum(tile.real_loss, reals),      sum(tile.fake_loss, fakes), sum(tile.g_loss, fakes),
          sum(tile.real, reals),           sum(tile.fake, fakes),      count_positive(tile.real, reals),
          count_positive(tile.fake, fakes)};
}

template <class In, class T>
void run(const GanLossArguments& a, ParallelFor pool) {
  const int64_t tiles = gan_loss_tiles(a.real_count, a.fake_count);
  std::vector<GanLossSums> parts(static_cast<size_t>(tiles));
  const auto some_tiles = [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      parts[static_cast<size_t>(index)] = one_tile<In, T>(a, index);
    }
  };
  parallel_for(pool, tiles, /*grain=*/4, some_tiles);
  GanLossSums total;
  for (const GanLossSums& part : parts) add(total, part);
  finish(total, a.real_count, a.fake_count, static_cast<T*>(a.d_loss), static_cast<T*>(a.g_loss),
         static_cast<T*>(a.statistics));
}

}  // namespace

void gan_loss_default(const GanLossArguments& arguments, ParallelFor pool) {
  with_types(arguments.type, [&](auto types) {
    run<typename decltype(types)::In, typename decltype(types)::T>(arguments, pool);
  });
}

}  // namespace fastgan::cpu

// Mean and sum of squared deviations of a set of numbers, merged without cancellation (Chan, Golub, LeVeque).
#pragma once

#include <cmath>

namespace fastgan {

struct Moments {
  double count = 0, mean = 0, squares = 0;
};

inline void merge(Moments& total, const Moments& part) {
  if (part.count == 0) return;
  const double count = total.count + part.count;
  const double gap = part.mean - total.mean;
  total.mean += gap * (part.count / count);
  total.squares += part.squares + gap * gap * (total.count * part.count / count);
  total.count = count;
}

// NaN where there is nothing.
inline double mean_of(const Moments& total) { return total.count > 0 ? total.mean : NAN; }
inline double variance_of(const Moments& total) { return total.squares / total.count; }  // biased

}  // namespace fastgan

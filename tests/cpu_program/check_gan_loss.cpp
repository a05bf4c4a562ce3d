// gan_loss: every family at counts about vectors and tiles of 1024 logits.
#include <algorithm>
#include <cmath>

#include "checks.h"
#include "cpu/gan_loss.h"
#include "report.h"
#include "runs.h"
#include "tensors.h"

namespace fastgan::test {
namespace {

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }
double sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

// A term and its derivative.
struct Term {
  double value, slope;
};

// As fastgan/losses.py has them; rpgan's, of differences, are those of the first family.
Term real_term(GanLossFamily family, double x) {
  switch (family) {
    case GanLossFamily::kHinge:
      return x >= 1 ? Term{0, 0} : Term{1 - x, -1};
    case GanLossFamily::kLeastSquares:
      return {0.5 * (x - 1) * (x - 1), x - 1};
    case GanLossFamily::kWasserstein:
      return {-x, -1};
    default:
      return {softplus(-x), -sigmoid(-x)};
  }
}

Term fake_term(GanLossFamily family, double x) {
  switch (family) {
    case GanLossFamily::kHinge:
      return x <= -1 ? Term{0, 0} : Term{1 + x, 1};
    case GanLossFamily::kLeastSquares:
      return {0.5 * x * x, x};
    case GanLossFamily::kWasserstein:
      return {x, 1};
    default:
      return {softplus(x), sigmoid(x)};
  }
}

Term generator_term(GanLossFamily family, double x) {
  switch (family) {
    case GanLossFamily::kHinge:
    case GanLossFamily::kWasserstein:
      return {-x, -1};
    case GanLossFamily::kLeastSquares:
      return {0.5 * (x - 1) * (x - 1), x - 1};
    default:
      return {softplus(-x), -sigmoid(-x)};
  }
}

struct Results {
  double d_loss = 0, g_loss = 0;
  Numbers statistics = {0, 0, 0, 0};
  Numbers d_grad_real, d_grad_fake, g_grad_real, g_grad_fake;
};

Results define(GanLossFamily family, const Numbers& real, const Numbers& fake) {
  Results r;
  const double reals = std::max<double>(1, static_cast<double>(real.size())),
               fakes = static_cast<double>(fake.size());
  for (const double x : real) r.statistics[0] += x / reals, r.statistics[2] += (x > 0) / reals;
  for (const double x : fake) r.statistics[1] += x / fakes, r.statistics[3] += (x > 0) / fakes;
  for (size_t i = 0; i < fake.size() && family == GanLossFamily::kRpgan; ++i) {
    const double gap = real[i] - fake[i];
    const Term d = real_term(family, gap), g = fake_term(family, gap);
    r.d_loss += d.value / fakes, r.g_loss += g.value / fakes;
    r.d_grad_real.push_back(d.slope / fakes), r.d_grad_fake.push_back(-d.slope / fakes);
    r.g_grad_real.push_back(g.slope / fakes), r.g_grad_fake.push_back(-g.slope / fakes);
  }
  if (family == GanLossFamily::kRpgan) return r;
  for (const double x : real) {
    const Term d = real_term(family, x);
    r.d_loss += d.value / reals;
    r.d_grad_real.push_back(d.slope / reals);
  }
  for (const double x : fake) {
    const Term d = fake_term(family, x), g = generator_term(family, x);
    r.d_loss += d.value / fakes, r.g_loss += g.value / fakes;
    r.d_grad_fake.push_back(d.slope / fakes), r.g_grad_fake.push_back(g.slope / fakes);
  }
  return r;
}

void check(GanLossFamily family, ElementType type, int64_t reals, int64_t fakes, bool special,
           Random& random) {
  report().begin_case(text("gan_loss family %d %s real %d fake %d%s", static_cast<int>(family), name_of(type),
                           static_cast<int>(reals), static_cast<int>(fakes), special ? " special" : ""));
  Numbers real = rounded(type, random.integers(reals, 300, 1.0 / 64));
  Numbers fake = rounded(type, random.integers(fakes, 300, 1.0 / 64));
  const double values[] = {NAN, 60.0, -60.0, 1.0, -1.0, 0.0};
  for (size_t i = 1; i < fake.size() && special; i += 3) fake[i] = values[i / 3 % 6];
  const Results right = define(family, real, fake);
  const ElementType out = wide(type);
  const Tolerance tolerance{16 * epsilon(out), 1e-30};

  each_run(
      [&](const Run& run) {
        Tensors tensors(run.guard);
        GanLossArguments a{};
        a.family = family;
        a.type = type;
        a.real = tensors.optional_input("real", type, real);
        a.real_count = reals;
        a.fake = tensors.input("fake", type, fake);
        a.fake_count = fakes;
        a.d_loss = tensors.output("d_loss", out, 1);
        a.g_loss = tensors.output("g_loss", out, 1);
        a.statistics = tensors.output("statistics", out, 4);
        a.d_grad_real = tensors.output("d_grad_real", out, reals);
        a.d_grad_fake = tensors.output("d_grad_fake", out, fakes);
        if (family == GanLossFamily::kRpgan) a.g_grad_real = tensors.output("g_grad_real", out, reals);
        a.g_grad_fake = tensors.output("g_grad_fake", out, fakes);
        cpu::gan_loss(a, run.pool);
        // Means of terms of both signs: right to the largest of them.
        const double precision = std::max(16 * epsilon(out), 1e-12);
        const Tolerance of_mean{precision, precision * (special ? 2000 : 5)};
        tensors.expect(a.d_loss, out, {right.d_loss}, of_mean);
        tensors.expect(a.g_loss, out, {right.g_loss}, of_mean);
        tensors.expect(a.statistics, out, right.statistics, of_mean);
        tensors.expect(a.d_grad_real, out, right.d_grad_real, tolerance);
        tensors.expect(a.d_grad_fake, out, right.d_grad_fake, tolerance);
        if (a.g_grad_real != nullptr) tensors.expect(a.g_grad_real, out, right.g_grad_real, tolerance);
        tensors.expect(a.g_grad_fake, out, right.g_grad_fake, tolerance);
        return tensors.finish();
      },
      "default");
}

}  // namespace

void check_gan_loss(bool thorough) {
  constexpr ElementType kTypes[] = {ElementType::kFloat, ElementType::kBFloat16, ElementType::kHalf,
                                    ElementType::kDouble};
  Random random(4);
  for (int family = 0; family < 5; ++family) {
    for (const int64_t count : {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 1023, 1024, 1025, 5121}) {
      if (!thorough && random.integer(0, 3) > 0) continue;
      const auto which = static_cast<GanLossFamily>(family);
      const bool pairs = which == GanLossFamily::kRpgan;
      const int64_t fakes = pairs ? count : random.integer(1, 2 * count);
      check(which, random.one_of(kTypes), count, fakes, false, random);
      check(which, random.one_of(kTypes), count, count, true, random);
      if (!pairs) check(which, random.one_of(kTypes), 0, count, false, random);
    }
  }
}

}  // namespace fastgan::test

// channel_statistics and its gradient, at sizes about vectors, sixteen channels and tiles of 16384 numbers.
#include <algorithm>
#include <cmath>

#include "checks.h"
#include "cpu/channel_statistics.h"
#include "definition.h"
#include "report.h"
#include "runs.h"
#include "tensors.h"

namespace fastgan::test {
namespace {

// [N, pixels, C] as [N, C, pixels] where that is the memory.
Numbers in_memory(const Numbers& maps, const cpu::MapShape& shape) {
  if (shape.channels_last) return maps;
  Numbers memory;
  const int64_t per_image = shape.channels * shape.pixels;
  for (int64_t n = 0; n < shape.images; ++n) {
    for (int64_t c = 0; c < shape.channels; ++c) {
      for (int64_t p = 0; p < shape.pixels; ++p)
        memory.push_back(maps[static_cast<size_t>(n * per_image + p * shape.channels + c)]);
    }
  }
  return memory;
}

void check(const cpu::MapShape& shape, ElementType type, bool special, Random& random) {
  const int64_t channels = shape.channels, count = shape.images * shape.pixels;
  report().begin_case(text("channel_statistics %s %s N=%d C=%d pixels=%d%s", name_of(type),
                           shape.channels_last ? "nhwc" : "nchw", static_cast<int>(shape.images),
                           static_cast<int>(channels), static_cast<int>(shape.pixels),
                           special ? " special" : ""));
  OutputGradientNumbers dy;
  // Far from 0, where the variance is lost to whoever sums squares instead of deviations.
  dy.output = random.integers(shape.size(), 8, 0.25);
  for (double& x : dy.output) x = rounded(type, x + 48);
  if (random.integer(0, 1) == 1) dy.bias = random.integers(channels, 4);
  const MeanAndVariance right = channel_statistics(dy.output, dy.bias, channels);
  // Multiples of the count, by which they are divided: an exact gradient.
  const auto n = static_cast<double>(std::max<int64_t>(1, count));
  const int64_t wanted = random.integer(1, 7);
  if (wanted & 1) dy.grad_output = random.integers(shape.size(), 3);
  if (wanted & 2) dy.grad_mean = random.integers(channels, 3, n);
  if (wanted & 4) dy.grad_var = random.integers(channels, 2, n / 2);
  dy.mean = random.integers(channels, 4);
  Numbers special_output = dy.output;
  if (special && !special_output.empty()) special_output[special_output.size() / 2] = INFINITY;
  const MeanAndVariance special_right = channel_statistics(special_output, dy.bias, channels);

  each_run([&](const Run& run) {
    Tensors tensors(run.guard);
    // Summed in double, here and there.
    const Tolerance tolerance{std::max(4 * epsilon(wide(type)), 1e-12), 1e-11, true};
    cpu::ChannelStatisticsArguments a{};
    a.type = type;
    a.shape = shape;
    a.output = tensors.input("output", type, in_memory(special ? special_output : dy.output, shape));
    a.bias = tensors.optional_input("bias", type, dy.bias);
    a.mean = tensors.output("mean", wide(type), channels);
    a.var = tensors.output("var", wide(type), channels);
    cpu::channel_statistics(a, run.pool);
    tensors.expect(a.mean, wide(type), special ? special_right.mean : right.mean, tolerance);
    tensors.expect(a.var, wide(type), special ? special_right.var : right.var, tolerance);

    cpu::ChannelStatisticsBackwardArguments b{};
    b.type = type;
    b.shape = shape;
    if (!dy.grad_output.empty())
      b.grad_output = tensors.input("grad_output", type, in_memory(dy.grad_output, shape));
    b.grad_mean = tensors.optional_input("grad_mean", wide(type), dy.grad_mean);
    b.grad_var = tensors.optional_input("grad_var", wide(type), dy.grad_var);
    b.mean = tensors.input("mean", wide(type), dy.mean);
    if (b.grad_var != nullptr) b.output = tensors.input("output", type, in_memory(dy.output, shape));
    b.bias = a.bias;
    b.d_output = tensors.output("d_output", type, shape.size());
    cpu::channel_statistics_backward(b, run.pool);
    tensors.expect(b.d_output, type, in_memory(rounded(type, dy.dy(count, channels)), shape));
    return tensors.finish();
  });
}

}  // namespace

void check_channel_statistics(bool thorough) {
  constexpr ElementType kTypes[] = {ElementType::kFloat, ElementType::kBFloat16, ElementType::kHalf,
                                    ElementType::kDouble};
  Random random(3);
  int turn = 0;
  const auto add = [&](int64_t images, int64_t channels, int64_t pixels, bool special = false) {
    for (const bool channels_last : {true, false}) {
      for (const ElementType type : kTypes) {
        if (++turn % (thorough ? 3 : 11) == 0)
          check({images, channels, pixels, channels_last}, type, special, random);
      }
    }
  };
  for (const int64_t channels : {1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65}) {
    for (const int64_t pixels : {1, 7, 8, 9, 17}) add(2, channels, pixels, pixels == 17);
  }
  for (const int64_t size : {16383, 16384, 16385}) add(1, 1, size), add(1, 5, size / 5 + 1);
  add(3, 17, 1024);
  add(0, 5, 4);
  add(2, 5, 0);
}

}  // namespace fastgan::test

// affine_act, its gradients and its pixels, at sizes about vectors, chunks of 1024 and tiles of 16384
// numbers.
#include <algorithm>
#include <cmath>

#include "checks.h"
#include "cpu/affine_act.h"
#include "definition.h"
#include "report.h"
#include "runs.h"
#include "tensors.h"

namespace fastgan::test {
namespace {

constexpr ElementType kTypes[] = {ElementType::kFloat, ElementType::kBFloat16, ElementType::kHalf,
                                  ElementType::kDouble};
constexpr Activation kActivations[] = {Activation::kNone, Activation::kLeakyRelu, Activation::kRelu,
                                       Activation::kTanh};

// [N, pixels, C] in the memory of the op: the same, or [N, C, pixels].
Numbers in_memory(const Numbers& maps, const cpu::MapShape& shape) {
  if (shape.channels_last) return maps;
  Numbers memory(maps.size());
  for (int64_t i = 0; i < static_cast<int64_t>(maps.size()); ++i) {
    const int64_t c = i % shape.channels, pixel = i / shape.channels % shape.pixels;
    memory[static_cast<size_t>((i / shape.channels / shape.pixels * shape.channels + c) * shape.pixels +
                               pixel)] = maps[static_cast<size_t>(i)];
  }
  return memory;
}

// fastgan/models/pixels.py: (z + 1) * 127.5, half to even, cut; 0 for NaN.
uint8_t pixel_of(double z) {
  const double value = std::nearbyint((z + 1) * 127.5);
  return value > 0 ? static_cast<uint8_t>(std::min(value, 255.0)) : 0;
}

struct Case {
  cpu::MapShape shape;
  ElementType type;
  AffineNumbers affine;
  int64_t scale_rows, shift_rows;
  Numbers input, grad_output;
  bool special = false;

  // tanh is held to a few units in the last place, all else to the last bit.
  Tolerance tolerance(ElementType stored, double largest = 1) const {
    if (affine.activation != Activation::kTanh) return {};
    return {8 * epsilon(ElementType::kFloat) + epsilon(stored),
            (type == ElementType::kDouble ? 1e-15 : 1e-7) * largest};
  }

  cpu::AffineAct view(Tensors& tensors) const {
    const auto rows = [&](const char* name, const Numbers& numbers, int64_t count) {
      return cpu::Rows{tensors.optional_input(name, wide(type), numbers), count > 1 ? shape.channels : 0};
    };
    return {rows("scale", affine.scale, scale_rows), rows("shift", affine.shift, shift_rows),
            affine.activation, affine.negative_slope};
  }
};

Case make(const cpu::MapShape& shape, ElementType type, Activation activation, Random& random, bool special) {
  const int64_t choices[] = {0, 1, shape.images};
  Case one{shape, type, {}, random.one_of(choices), random.one_of(choices), {}, {}};
  one.affine.activation = activation;
  one.affine.negative_slope = activation == Activation::kLeakyRelu ? 0.25 : 0.0;
  one.affine.scale = random.integers(one.scale_rows * shape.channels, 2);
  one.affine.shift = random.integers(one.shift_rows * shape.channels, 4, 0.25);
  one.input = random.integers(shape.size(), 64, 1.0 / 32);
  one.grad_output = random.integers(shape.size(), 3);
  one.special = special;
  if (special) {
    const double values[] = {NAN, INFINITY, -INFINITY, -0.0, 65504.0, -65504.0, 1e38, 1e-40};
    for (size_t i = 0; i < one.input.size(); i += 5) one.input[i] = rounded(type, values[i / 5 % 8]);
  }
  return one;
}

void check(const Case& one) {
  const int64_t images = one.shape.images, channels = one.shape.channels;
  report().begin_case(text("affine_act %s %s N=%d C=%d pixels=%d activation %d scale%d shift%d",
                           name_of(one.type), one.shape.channels_last ? "nhwc" : "nchw",
                           static_cast<int>(images), static_cast<int>(channels),
                           static_cast<int>(one.shape.pixels), static_cast<int>(one.affine.activation),
                           static_cast<int>(one.scale_rows), static_cast<int>(one.shift_rows)));
  const Numbers z = rounded(one.type, affine_act(one.affine, one.input, images, channels));
  const AffineGradients gradients =
      affine_act_backward(one.affine, one.grad_output, one.input, images, channels);
  std::vector<uint8_t> pixels;
  for (const double each : z) pixels.push_back(pixel_of(each));
  // A rounding error before to_pixel may move a tie, so pixels are checked without tanh.
  const bool with_pixels = one.affine.activation != Activation::kTanh;

  each_run([&](const Run& run) {
    Tensors tensors(run.guard);
    cpu::AffineActArguments a{};
    a.type = one.type;
    a.shape = one.shape;
    a.input = tensors.input("input", one.type, in_memory(one.input, one.shape));
    a.affine = one.view(tensors);
    a.output = tensors.output("output", one.type, one.shape.size());
    cpu::affine_act(a, run.pool);
    tensors.expect(a.output, one.type, in_memory(z, one.shape), one.tolerance(one.type));
    if (with_pixels) {
      a.pixels = true;
      a.output = tensors.output_bytes("pixels", one.shape.size());
      cpu::affine_act(a, run.pool);
      tensors.expect_bytes(a.output, pixels);
    }

    cpu::AffineActBackwardArguments b{};
    b.type = one.type;
    b.shape = one.shape;
    b.grad_output = tensors.input("grad_output", one.type, in_memory(one.grad_output, one.shape));
    b.affine = a.affine;
    if (one.affine.activation != Activation::kNone || b.affine.scale.data != nullptr) b.input = a.input;
    b.d_input = tensors.output("d_input", one.type, one.shape.size());
    if (b.affine.scale.data != nullptr)
      b.d_scale = tensors.output("d_scale", wide(one.type), one.scale_rows * channels);
    if (b.affine.shift.data != nullptr)
      b.d_shift = tensors.output("d_shift", wide(one.type), one.shift_rows * channels);
    cpu::affine_act_backward(b, run.pool);
    tensors.expect(b.d_input, one.type, in_memory(rounded(one.type, gradients.d_input), one.shape),
                   one.tolerance(one.type, 6));
    // Each term is at most 6; of large numbers that cancel the order of the sum decides what is left.
    const Tolerance of_sum =
        one.special ? Tolerance{1e-6, 1e25, true}
                    : one.tolerance(wide(one.type), 6.0 * static_cast<double>(images * one.shape.pixels));
    if (b.d_scale != nullptr)
      tensors.expect(b.d_scale, wide(one.type), rounded(wide(one.type), gradients.d_scale), of_sum);
    if (b.d_shift != nullptr)
      tensors.expect(b.d_shift, wide(one.type), rounded(wide(one.type), gradients.d_shift), of_sum);
    return tensors.finish();
  });
}

}  // namespace

void check_affine_act(bool thorough) {
  Random random(2);
  int turn = 0;
  const auto add = [&](int64_t images, int64_t channels, int64_t pixels, bool special) {
    for (const bool channels_last : {true, false}) {
      for (const Activation activation : kActivations) {
        if (++turn % (thorough ? 3 : 11) != 0) continue;
        const ElementType type = special        ? random.one_of(kTypes)
                                 : turn % 4 < 2 ? ElementType::kFloat
                                                : random.one_of(kTypes);
        check(make({images, channels, pixels, channels_last}, type, activation, random, special));
      }
    }
  };
  for (const int64_t channels : {1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 64, 65}) {
    for (const int64_t pixels : {1, 3, 7, 8, 9, 16, 17}) add(2, channels, pixels, pixels == 9);
  }
  for (const int64_t size : {1023, 1024, 1025})
    add(1, 1, size, false), add(1, size, 1, false), add(2, 3, size / 3, true);
  for (const int64_t size : {16383, 16384, 16385}) add(1, 1, size, false), add(1, 3, size / 3 + 1, false);
  add(3, 17, 1024, true);
  add(0, 5, 4, false);
  add(2, 5, 0, false);
}

}  // namespace fastgan::test

// The frozen generator: a plan with a step of every kind, at batches about its chunk of 64; two calls at
// once.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>

#include "checks.h"
#include "convolution_case.h"
#include "cpu/frozen_generator.h"
#include "definition.h"
#include "report.h"
#include "runs.h"
#include "tensors.h"

namespace fastgan::test {
namespace {

constexpr int64_t kClasses = 5, kLatent = 6;
constexpr auto kFloat = ElementType::kFloat;

// A step as numbers: what FrozenStep points to.
struct Step {
  cpu::FrozenStepKind kind = cpu::FrozenStepKind::kConvolution;
  Convolution shape{};
  Numbers weight, bias, scale, shift;
  int64_t channels = 0, size = 0;
  bool by_label = false;
  Activation activation = Activation::kNone;
  std::vector<int64_t> index;
};

// From latents by way of a permuted row to 10x18 images, big enough for every algorithm of the convolution.
class Plan {
 public:
  Plan(int64_t colours, bool with_tanh) {
    convolve(convolution(false, kLatent, 33 * 6, 1, 1, 1, 1, 0));
    affine(33 * 6, true);
    activate(Activation::kRelu);
    permute();
    affine(33, false);
    convolve(convolution(true, 33, 32, 2, 3, 4, 2, 1));
    affine(32, true);
    activate(Activation::kLeakyRelu);
    convolve(convolution(true, 32, 9, 4, 6, 4, 2, 1));
    activate(Activation::kTanh);  // which no convolution takes
    steps_.back().activation = with_tanh ? Activation::kTanh : Activation::kRelu;
    affine(9, false);
    convolve(convolution(true, 9, colours, 8, 12, 4, 2, 3));
    affine(colours, false);
    if (with_tanh) activate(Activation::kTanh);
    colours_ = colours;
  }

  int64_t colours() const { return colours_; }
  int64_t image_size() const { return steps_.back().size; }

  Numbers run(const Numbers& z, const std::vector<int64_t>& labels) const {
    Numbers row = z;
    const auto images = static_cast<int64_t>(labels.size());
    for (const Step& step : steps_) row = next(step, row, images, labels);
    return row;
  }

  // The steps with their numbers and packed weights in guarded memory.
  std::vector<cpu::FrozenStep> view(Tensors& tensors) const {
    std::vector<cpu::FrozenStep> views;
    for (const Step& step : steps_) {
      cpu::FrozenStep view{};
      view.kind = step.kind;
      view.shape = step.shape;
      view.channels = step.channels;
      view.by_label = step.by_label;
      view.activation = step.activation;
      view.negative_slope = step.activation == Activation::kLeakyRelu ? 0.5 : 0.0;
      view.size = step.size;
      const auto floats = [&](const char* name, const Numbers& numbers) {
        return static_cast<const float*>(tensors.optional_input(name, kFloat, numbers));
      };
      view.bias = floats("bias", step.bias);
      view.scale = floats("scale", step.scale);
      view.shift = floats("shift", step.shift);
      if (!step.index.empty())
        view.index = static_cast<const int64_t*>(
            tensors.input_bytes("index", step.index.data(), step.index.size() * sizeof(int64_t)));
      if (!step.weight.empty()) {
        const Convolution& s = step.shape;
        const int64_t taps = s.kernel[0] * s.kernel[1],
                      large = (s.transposed ? s.out_channels : s.in_channels) * taps;
        const int64_t stride[4] = {s.transposed ? taps : large, s.transposed ? large : taps, s.kernel[1], 1};
        void* const packed = tensors.output("packed weight", kFloat, cpu::packed_weight_size(s));
        view.weight = cpu::pack_weight(s, kFloat, tensors.input("weight", kFloat, step.weight), stride,
                                       packed, &one_thread);
      }
      views.push_back(view);
    }
    return views;
  }

 private:
  Step& add(cpu::FrozenStepKind kind, int64_t size) {
    steps_.emplace_back();
    steps_.back().kind = kind;
    steps_.back().size = size;
    return steps_.back();
  }

  // Weights that are mostly 0: what comes out stays small enough to be exact in float.
  void convolve(const Convolution& shape) {
    Step& step =
        add(cpu::FrozenStepKind::kConvolution, shape.out_size[0] * shape.out_size[1] * shape.out_channels);
    step.shape = shape;
    step.weight =
        random_.integers(shape.in_channels * shape.out_channels * shape.kernel[0] * shape.kernel[1], 9);
    for (double& w : step.weight) w = std::fabs(w) == 9 ? std::copysign(1, w) : 0;
    step.bias = random_.integers(shape.out_channels, 2);
  }

  void affine(int64_t channels, bool by_label) {
    Step& step = add(cpu::FrozenStepKind::kAffine, steps_.back().size);
    step.channels = channels;
    step.by_label = by_label;
    step.scale = random_.integers((by_label ? kClasses : 1) * channels, 2, 0.5);
    step.shift = random_.integers((by_label ? kClasses : 1) * channels, 2);
  }

  void activate(Activation activation) {
    add(cpu::FrozenStepKind::kActivation, steps_.back().size).activation = activation;
  }

  void permute() {
    Step& step = add(cpu::FrozenStepKind::kPermutation, steps_.back().size);
    for (int64_t i = 0; i < step.size; ++i) step.index.push_back((i * 5 + 3) % step.size);
  }

  static Numbers next(const Step& step, const Numbers& row, int64_t images,
                      const std::vector<int64_t>& labels) {
    AffineNumbers affine;
    switch (step.kind) {
      case cpu::FrozenStepKind::kConvolution: {
        Numbers y(static_cast<size_t>(images * step.size));
        for (size_t i = 0; i < y.size(); ++i) y[i] = step.bias[i % step.bias.size()];
        each_product(step.shape, images, [&](int64_t in, int64_t out, int64_t weight) {
          y[out] += row[in] * step.weight[weight];
        });
        return y;
      }
      case cpu::FrozenStepKind::kAffine: {
        Numbers y = row;
        for (size_t i = 0; i < y.size(); ++i) {
          const int64_t n = static_cast<int64_t>(i) / step.size, c = static_cast<int64_t>(i) % step.channels;
          const auto at =
              static_cast<size_t>((step.by_label ? labels[static_cast<size_t>(n)] : 0) * step.channels + c);
          y[i] = step.scale[at] * row[i] + step.shift[at];
        }
        return y;
      }
      case cpu::FrozenStepKind::kActivation:
        affine.activation = step.activation;
        affine.negative_slope = 0.5;
        return affine_act(affine, row, images, 1);
      default: {
        Numbers y(row.size());
        for (size_t i = 0; i < y.size(); ++i) {
          const size_t size = static_cast<size_t>(step.size);
          y[i] = row[i / size * size + static_cast<size_t>(step.index[i % size])];
        }
        return y;
      }
    }
  }

  Random random_{5};
  std::vector<Step> steps_;
  int64_t colours_;
};

struct Batch {
  Numbers z;
  std::vector<int64_t> labels;
};

Batch make_batch(int64_t images, uint64_t seed) {
  Random random(seed);
  Batch batch{random.integers(images * kLatent, 2), {}};
  for (int64_t i = 0; i < images; ++i) batch.labels.push_back(random.integer(0, kClasses - 1));
  return batch;
}

cpu::FrozenGeneratorArguments arguments(Tensors& tensors, const Plan& plan, const Batch& batch,
                                        const std::vector<cpu::FrozenStep>& steps) {
  cpu::FrozenGeneratorArguments a{};
  a.threads = 3;  // said to one thread too: nobody may wait for somebody who never comes
  a.steps = &steps;
  a.images = static_cast<int64_t>(batch.labels.size());
  a.z = static_cast<const float*>(tensors.input("z", kFloat, batch.z));
  a.latent_size = kLatent;
  a.labels = static_cast<const int64_t*>(
      tensors.input_bytes("labels", batch.labels.data(), batch.labels.size() * sizeof(int64_t)));
  a.image_channels = plan.colours();
  return a;
}

void check(const Plan& plan, int64_t images, bool with_tanh) {
  report().begin_case(text("frozen_generator N=%d colours %d%s", static_cast<int>(images),
                           static_cast<int>(plan.colours()), with_tanh ? " tanh" : ""));
  const Batch batch = make_batch(images, 6);
  const Numbers right = plan.run(batch.z, batch.labels);
  std::vector<uint8_t> pixels;
  for (const double z : right) {
    const double value = std::nearbyint((z + 1) * 127.5);
    pixels.push_back(static_cast<uint8_t>(std::max(0.0, std::min(value, 255.0))));
  }
  each_run(
      [&](const Run& run) {
        Tensors tensors(run.guard);
        const std::vector<cpu::FrozenStep> steps = plan.view(tensors);
        cpu::FrozenGeneratorArguments a = arguments(tensors, plan, batch, steps);
        a.output = tensors.output("output", kFloat, images * plan.image_size());
        cpu::frozen_generator(a, run.pool);
        tensors.expect(a.output, kFloat, right, with_tanh ? Tolerance{1e-5, 1e-5} : Tolerance{});
        if (!with_tanh) {
          a.pixels = true;
          a.output = tensors.output_bytes("pixels", images * plan.image_size());
          cpu::frozen_generator(a, run.pool);
          tensors.expect_bytes(a.output, pixels);
        }
        return tensors.finish();
      },
      images == 0 ? "" : nullptr);
}

// Callers may have threads of their own: each gets the bytes it would get alone.
void check_two_at_once(const Plan& plan) {
  report().begin_case("frozen_generator, two calls at once");
  const Batch batches[2] = {make_batch(40, 7), make_batch(67, 8)};
  each_run([&](const Run& run) {
    Tensors tensors(run.guard);
    const std::vector<cpu::FrozenStep> steps = plan.view(tensors);
    cpu::FrozenGeneratorArguments calls[2];
    std::vector<unsigned char> alone[2];
    for (int i = 0; i < 2; ++i) {
      calls[i] = arguments(tensors, plan, batches[i], steps);
      calls[i].output = tensors.output("output", kFloat, calls[i].images * plan.image_size());
      cpu::frozen_generator(calls[i], run.pool);
      const auto* const bytes = static_cast<const unsigned char*>(calls[i].output);
      alone[i].assign(bytes, bytes + calls[i].images * plan.image_size() * 4);
    }
    std::atomic<int> waiting{2}, wrong{0};
    const auto repeat = [&](int i) {
      for (--waiting; waiting > 0;) std::this_thread::yield();  // so that the calls do overlap
      for (int k = 0; k < 8; ++k) {
        cpu::frozen_generator(calls[i], run.pool);
        wrong += std::memcmp(calls[i].output, alone[i].data(), alone[i].size()) != 0;
      }
    };
    std::thread other([&] { repeat(1); });
    repeat(0);
    other.join();
    if (wrong > 0) report().fail(text("%d of 16 calls gave other bytes than alone", wrong.load()));
    return tensors.finish();
  });
}

}  // namespace

void check_frozen_generator(bool thorough) {
  for (const int64_t colours : {3, 1}) {
    const Plan exact(colours, false);
    check(exact, 3, false);
    if (!thorough) continue;
    for (const int64_t images : {0, 1, 63, 64, 65, 129}) check(exact, images, false);
  }
  const Plan with_tanh(3, true);
  check(with_tanh, 5, true);
  check_two_at_once(with_tanh);
}

}  // namespace fastgan::test

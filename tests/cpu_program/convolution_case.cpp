// Makes the tensors of a convolution, calls the three kernels and compares with the definition.
#include "convolution_case.h"

#include <algorithm>
#include <functional>

#include "cpu/affine_act_conv.h"
#include "report.h"
#include "runs.h"

namespace fastgan::test {
namespace {

constexpr double kHuge = 0x1p127, kTiny = 0x1p-100;

class Checked {
 public:
  explicit Checked(const ConvolutionCase& one)
      : one_(one),
        shape_(one.shape),
        in_(one.images * shape_.in_size[0] * shape_.in_size[1] * shape_.in_channels),
        out_(one.images * shape_.out_size[0] * shape_.out_size[1] * shape_.out_channels),
        type_(one.type),
        wide_(wide(one.type)) {
    make_inputs();
    make_special();
    lay_out();
    define();
  }

  std::vector<unsigned char> run(const Run& run) const {
    std::vector<unsigned char> all = forward(run);
    for (const auto& bytes : {input_grad(run), one_.special == Special::kHuge ? all : weight_grad(run)})
      all.insert(all.end(), bytes.begin(), bytes.end());
    return all;
  }

 private:
  int64_t count() const { return one_.images * shape_.out_size[0] * shape_.out_size[1]; }
  bool finite() const { return one_.special == Special::kNone || one_.special == Special::kHuge; }

  void make_inputs() {
    Random random(static_cast<uint64_t>(in_ * 31 + out_) + static_cast<uint64_t>(type_));
    const int64_t ins = shape_.in_channels, outs = shape_.out_channels;
    input_ = random.integers(in_, 3);
    weight_ = random.integers(ins * outs * shape_.kernel[0] * shape_.kernel[1], 2);
    if (one_.bias) bias_ = random.integers(outs, 4);
    affine_.activation = one_.activation;
    affine_.negative_slope = one_.activation == Activation::kLeakyRelu ? 0.5 : 0.0;
    affine_.scale = random.integers(one_.scale_rows * ins, 1);
    for (double& scale : affine_.scale) scale = scale == 0 ? 2.0 : scale;
    affine_.shift = random.integers(one_.shift_rows * ins, 2);
    // Multiples of the count, by which they are divided.
    const auto n = static_cast<double>(std::max<int64_t>(1, count()));
    if (one_.grad_output) dy_.grad_output = random.integers(out_, 2);
    if (one_.grad_mean) dy_.grad_mean = random.integers(outs, 2, n);
    if (one_.grad_var) {
      dy_.grad_var = random.integers(outs, 1, n / 2);
      dy_.mean = random.integers(outs, 2);
      dy_.output = random.integers(out_, 3);
      if (one_.bias) dy_.bias = bias_;
    }
  }

  void make_special() {
    const double values[] = {INFINITY, NAN, -INFINITY};
    // In different channels and images: where they met, all would be NaN.
    const auto scatter = [&](Numbers& numbers) {
      for (size_t i = 0; i < 3 && !numbers.empty(); ++i)
        numbers[(numbers.size() * (2 * i + 1) / 6 + i) % numbers.size()] = values[i];
    };
    if (one_.special == Special::kInput) scatter(input_);
    if (one_.special == Special::kWeight) scatter(weight_);
    if (one_.special == Special::kScale) scatter(affine_.scale);
    if (one_.special == Special::kGradient) scatter(dy_.grad_output);
    if (one_.special != Special::kHuge) return;
    for (double& w : weight_) w *= kTiny;
    for (double& b : bias_) b = 0;
    // Neighbours along a row in one channel.
    const auto alternate = [](Numbers& maps, int64_t channels) {
      std::fill(maps.begin(), maps.end(), 0.0);
      const auto stride = static_cast<size_t>(channels);
      double sign = 1;
      for (size_t i = maps.size() / 2 / stride * stride; i < maps.size() && i < maps.size() / 2 + 4 * stride;
           i += stride, sign = -sign)
        maps[i] = sign * kHuge;
    };
    alternate(input_, shape_.in_channels);
    alternate(dy_.grad_output, shape_.out_channels);
  }

  void lay_out() {
    const auto maps = [&](const Numbers& numbers, int64_t channels, const int64_t (&size)[2]) {
      return stored_maps(type_, numbers, channels, size, one_.layout);
    };
    stored_.input = maps(input_, shape_.in_channels, shape_.in_size);
    stored_.grad_output = maps(dy_.grad_output, shape_.out_channels, shape_.out_size);
    stored_.output = maps(dy_.output, shape_.out_channels, shape_.out_size);
    const int64_t large = shape_.transposed ? shape_.out_channels : shape_.in_channels;
    const int64_t rows = shape_.kernel[0], columns = shape_.kernel[1], taps = rows * columns;
    const bool by_pixel = one_.weight_by_pixel;
    const int64_t stride[4] = {large * taps, by_pixel ? 1 : taps, by_pixel ? columns * large : columns,
                               by_pixel ? large : 1};
    std::copy(stride, stride + 4, weight_stride_);
    Numbers memory(weight_.size());
    for (int64_t i = 0; i < static_cast<int64_t>(memory.size()); ++i) {
      const int64_t tap = i % taps, l = i / taps % large, s = i / taps / large;
      const int64_t at =
          s * stride[0] + l * stride[1] + tap / columns * stride[2] + tap % columns * stride[3];
      memory[static_cast<size_t>(at)] = weight_[static_cast<size_t>(i)];
    }
    stored_.weight = stored(type_, memory);
  }

  void define() {
    const Numbers z = affine_act(affine_, input_, one_.images, shape_.in_channels);
    const Numbers dy = dy_.dy(count(), shape_.out_channels);
    Numbers y(static_cast<size_t>(out_)), dz(static_cast<size_t>(in_));
    d_weight_.assign(weight_.size(), 0.0);
    for (size_t i = 0; i < y.size() && one_.bias; ++i) y[i] = bias_[i % bias_.size()];
    each_product(shape_, one_.images, [&](int64_t in, int64_t out, int64_t weight) {
      y[out] += z[in] * weight_[weight];
      dz[in] += dy[out] * weight_[weight];
      d_weight_[weight] += dy[out] * z[in];
    });
    output_ = rounded(type_, std::move(y));
    statistics_ = channel_statistics(output_, bias_, shape_.out_channels);
    gradients_ = affine_act_backward(affine_, dz, input_, one_.images, shape_.in_channels);
    gradients_.d_input = rounded(type_, gradients_.d_input);
    d_weight_ = rounded(type_, d_weight_);
  }

  cpu::PackedWeight packed(Tensors& tensors, const Convolution& shape, bool forward, const Run& run) const {
    const int64_t out = forward == shape_.transposed;  // the weight's dimension of the packed shape's outputs
    const int64_t stride[4] = {weight_stride_[out], weight_stride_[1 - out], weight_stride_[2],
                               weight_stride_[3]};
    const void* const weight = tensors.input("weight", stored_.weight);
    void* const memory = tensors.output("packed weight", wide_, cpu::packed_weight_size(shape));
    const cpu::PackedWeight view = cpu::pack_weight(shape, type_, weight, stride, memory, run.pool);
    const bool right = std::all_of(weight_.begin(), weight_.end(), [](double w) { return std::isfinite(w); });
    if (view.finite != right)
      report().fail("pack_weight: finite must say whether the weight is, and does not");
    check_padding(shape, static_cast<const unsigned char*>(memory));
    return view;
  }

  // The last panel's channels that are not there: zeros, on which the minimal algorithm's speed depends.
  void check_padding(const Convolution& shape, const unsigned char* packed) const {
    const int64_t size = cpu::packed_weight_size(shape), panel = size / cpu::panels(shape.out_channels);
    const int64_t used = shape.out_channels - (cpu::panels(shape.out_channels) - 1) * cpu::kPanel;
    for (int64_t i = size - panel; i < size; ++i) {
      if (i % cpu::kPanel < used || load(wide_, packed + static_cast<size_t>(i) * size_of(wide_)) == 0)
        continue;
      return report().fail(text("packed weight[%d] must be 0, beyond the last channel", static_cast<int>(i)));
    }
  }

  cpu::AffineAct affine(Tensors& tensors) const {
    const auto rows = [&](const char* name, const Numbers& numbers, int64_t count) {
      return cpu::Rows{tensors.optional_input(name, wide_, numbers), count > 1 ? shape_.in_channels : 0};
    };
    return {rows("scale", affine_.scale, one_.scale_rows), rows("shift", affine_.shift, one_.shift_rows),
            one_.activation, affine_.negative_slope};
  }

  cpu::OutputGradient gradient(Tensors& tensors) const {
    cpu::OutputGradient view{};
    view.grad_output = stored_.grad_output.view(tensors, "grad_output");
    view.output = stored_.output.view(tensors, "output");
    view.grad_mean = tensors.optional_input("grad_mean", wide_, dy_.grad_mean);
    view.grad_var = tensors.optional_input("grad_var", wide_, dy_.grad_var);
    view.mean = tensors.optional_input("mean", wide_, dy_.mean);
    view.bias = tensors.optional_input("bias", type_, dy_.bias);
    view.count = count();
    return view;
  }

  // Exactly right, but for tiles of 4x4: their transforms divide by 9.
  Tolerance tolerance(bool quads, ElementType type, const Numbers& right) const {
    if (!quads || wide_ != ElementType::kFloat) return {};
    return {epsilon(type), 4e-6 * largest(right)};
  }

  static double largest(const Numbers& numbers) {
    double most = 0;
    for (const double number : numbers) {
      if (std::isfinite(number)) most = std::max(most, std::fabs(number));
    }
    return most;
  }

  MeanAndVariance statistics_of(const void* output) const {
    Numbers numbers(static_cast<size_t>(out_));
    for (size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = load(type_, static_cast<const unsigned char*>(output) + i * size_of(type_));
    return channel_statistics(numbers, bias_, shape_.out_channels);
  }

  std::vector<unsigned char> forward(const Run& run) const {
    Tensors tensors(run.guard);
    cpu::AffineActConvArguments a{};
    a.type = type_;
    a.shape = shape_;
    a.images = one_.images;
    a.input = stored_.input.view(tensors, "input");
    a.affine = affine(tensors);
    a.weight = packed(tensors, shape_, true, run);
    a.bias = tensors.optional_input("bias", type_, bias_);
    a.output = tensors.output("output", type_, out_);
    const bool statistics = one_.statistics && one_.special != Special::kHuge;
    if (statistics) {
      a.mean = tensors.output("mean", wide_, shape_.out_channels);
      a.var = tensors.output("var", wide_, shape_.out_channels);
    }
    cpu::affine_act_conv(a, run.pool);
    const bool quads = cpu::minimal_tile(shape_) == 4;
    tensors.expect(a.output, type_, output_, tolerance(quads, type_, output_));
    if (statistics) {
      // Of what was stored. Summed in double, here and there, and rounded once; of an infinity they may be
      // infinite or NaN.
      const MeanAndVariance right = quads ? statistics_of(a.output) : statistics_;
      // Numbers that are not whole are rounded when the bias is taken off.
      const double rounding = quads && one_.bias ? epsilon(wide_) * largest(output_) : 0;
      const Tolerance tolerance{std::max(4 * epsilon(wide_), 1e-12), 1e-10 + rounding, true};
      tensors.expect(a.mean, wide_, right.mean, tolerance);
      tensors.expect(a.var, wide_, right.var, tolerance);
    }
    return tensors.finish();
  }

  std::vector<unsigned char> input_grad(const Run& run) const {
    Tensors tensors(run.guard);
    cpu::AffineActConvInputGradArguments a{};
    a.type = type_;
    a.shape = shape_.backward();
    a.images = one_.images;
    a.gradient = gradient(tensors);
    a.weight = packed(tensors, a.shape, false, run);
    a.affine = affine(tensors);
    const bool needs_input = one_.activation != Activation::kNone || a.affine.scale.data != nullptr;
    if (needs_input) a.input = stored_.input.view(tensors, "input");
    a.d_input = tensors.output("d_input", type_, in_);
    if (a.affine.scale.data != nullptr)
      a.d_scale = tensors.output("d_scale", wide_, one_.scale_rows * shape_.in_channels);
    if (a.affine.shift.data != nullptr)
      a.d_shift = tensors.output("d_shift", wide_, one_.shift_rows * shape_.in_channels);
    cpu::affine_act_conv_input_grad(a, run.pool);
    const bool quads = cpu::minimal_tile(a.shape) == 4;
    const auto expect = [&](const void* got, ElementType type, const Numbers& right) {
      if (got != nullptr) tensors.expect(got, type, right, tolerance(quads, type, right));
    };
    expect(a.d_input, type_, gradients_.d_input);
    expect(a.d_scale, wide_, rounded(wide_, gradients_.d_scale));
    expect(a.d_shift, wide_, rounded(wide_, gradients_.d_shift));
    return tensors.finish();
  }

  std::vector<unsigned char> weight_grad(const Run& run) const {
    Tensors tensors(run.guard);
    cpu::AffineActConvWeightGradArguments a{};
    a.type = type_;
    a.shape = shape_;
    a.images = one_.images;
    a.gradient = gradient(tensors);
    a.input = stored_.input.view(tensors, "input");
    a.affine = affine(tensors);
    a.d_weight = tensors.output("d_weight", type_, static_cast<int64_t>(weight_.size()));
    cpu::affine_act_conv_weight_grad(a, run.pool);
    const bool quads = cpu::minimal_weight_grad_tile(shape_, one_.images) == 4;
    tensors.expect(a.d_weight, type_, d_weight_, tolerance(quads, type_, d_weight_));
    return tensors.finish();
  }

  const ConvolutionCase& one_;
  const Convolution& shape_;
  int64_t in_, out_;  // numbers in the maps
  ElementType type_, wide_;
  Numbers input_, weight_, bias_;
  AffineNumbers affine_;
  OutputGradientNumbers dy_;
  struct {
    StoredMaps input, grad_output, output;
    Stored weight;
  } stored_;
  int64_t weight_stride_[4];  // of its dimensions, in elements
  // What is right.
  Numbers output_, d_weight_;
  MeanAndVariance statistics_;
  AffineGradients gradients_;
};

}  // namespace

std::string ConvolutionCase::name() const {
  constexpr const char* kSpecials[] = {
      "", " special input", " special weight", " special scale", " special gradient", " huge"};
  constexpr const char* kActivations[] = {"none", "leaky_relu", "relu", "tanh"};
  constexpr const char* kLayoutNames[] = {"nhwc", "nchw", "strided nhwc", "strided nchw"};
  return text(
      "%s %s %s N=%d %dx(%d,%d)->%dx(%d,%d) k%d%d s%d%d p%d%d %s scale%d shift%d bias%d grads%d%d%d%s",
      shape.transposed ? "transposed" : "conv", name_of(type), kLayoutNames[static_cast<int>(layout)],
      static_cast<int>(images), static_cast<int>(shape.in_channels), static_cast<int>(shape.in_size[0]),
      static_cast<int>(shape.in_size[1]), static_cast<int>(shape.out_channels),
      static_cast<int>(shape.out_size[0]), static_cast<int>(shape.out_size[1]),
      static_cast<int>(shape.kernel[0]), static_cast<int>(shape.kernel[1]), static_cast<int>(shape.stride[0]),
      static_cast<int>(shape.stride[1]), static_cast<int>(shape.padding[0]),
      static_cast<int>(shape.padding[1]), kActivations[static_cast<int>(activation)],
      static_cast<int>(scale_rows), static_cast<int>(shift_rows), bias, grad_output, grad_mean, grad_var,
      kSpecials[static_cast<int>(special)]);
}

void check_convolution(const ConvolutionCase& one) {
  report().begin_case(one.name());
  const Checked checked(one);
  each_run([&](const Run& run) { return checked.run(run); });
}

Convolution convolution(bool transposed, int64_t in_channels, int64_t out_channels, int64_t height,
                        int64_t width, int64_t kernel, int64_t stride, int64_t padding,
                        int64_t output_padding) {
  Convolution shape{in_channels,      out_channels,     {height, width},    {0, 0},
                    {kernel, kernel}, {stride, stride}, {padding, padding}, transposed};
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t size = shape.in_size[axis];
    shape.out_size[axis] = transposed ? (size - 1) * stride - 2 * padding + kernel + output_padding
                                      : (size + 2 * padding - kernel) / stride + 1;
  }
  return shape;
}

}  // namespace fastgan::test

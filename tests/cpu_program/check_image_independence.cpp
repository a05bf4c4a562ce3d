// An image's bits do not depend on the images that are convolved with it: here numbers are not whole, so that
// a sum in another order shows.
#include <cstring>

#include "checks.h"
#include "convolution_case.h"
#include "cpu/affine_act_conv.h"
#include "report.h"
#include "runs.h"

namespace fastgan::test {
namespace {

constexpr auto kFloat = ElementType::kFloat;

// What goes into both correlations, for some images; maps are NHWC.
struct Maps {
  Numbers input, grad_output;
};

class Pair {
 public:
  explicit Pair(const Convolution& shape) : shape_(shape) {
    Random random(9);
    weight_ = random.integers(shape.in_channels * shape.out_channels * shape.taps(), 1000, 1.0 / 997);
  }

  Maps make(int64_t images) const {
    Random random(10);
    Maps maps{random.integers(images * in_size(), 1000, 1.0 / 997),
              random.integers(images * out_size(), 1000, 1.0 / 997)};
    // One block of tiles is summed again directly.
    if (images > 2) maps.input[static_cast<size_t>(2 * in_size())] = INFINITY;
    if (images > 2) maps.grad_output[static_cast<size_t>(2 * out_size())] = INFINITY;
    return maps;
  }

  Maps image(const Maps& all, int64_t n) const {
    const auto part = [n](const Numbers& numbers, int64_t size) {
      return Numbers(numbers.begin() + n * size, numbers.begin() + (n + 1) * size);
    };
    return {part(all.input, in_size()), part(all.grad_output, out_size())};
  }

  // The bytes of output and d_input, [image][both].
  std::vector<unsigned char> run(const Maps& maps, int64_t images, const Run& run) const {
    Tensors tensors(run.guard);
    cpu::AffineActConvArguments a{};
    a.type = kFloat;
    a.shape = shape_;
    a.images = images;
    a.input = cpu::nhwc(tensors.input("input", kFloat, maps.input), shape_.in_channels, shape_.in_size[0],
                        shape_.in_size[1]);
    a.weight = packed(tensors, shape_, shape_.transposed ? 1 : 0, run);
    a.output = tensors.output("output", kFloat, images * out_size());
    cpu::affine_act_conv(a, run.pool);

    cpu::AffineActConvInputGradArguments b{};
    b.type = kFloat;
    b.shape = shape_.backward();
    b.images = images;
    b.gradient.grad_output = cpu::nhwc(tensors.input("grad_output", kFloat, maps.grad_output),
                                       shape_.out_channels, shape_.out_size[0], shape_.out_size[1]);
    b.gradient.count = images * shape_.out_pixels();
    b.weight = packed(tensors, b.shape, shape_.transposed ? 0 : 1, run);
    b.d_input = tensors.output("d_input", kFloat, images * in_size());
    cpu::affine_act_conv_input_grad(b, run.pool);

    std::vector<unsigned char> bytes;
    for (int64_t n = 0; n < images; ++n) {
      append(bytes, a.output, n, out_size());
      append(bytes, b.d_input, n, in_size());
    }
    return bytes;
  }

 private:
  int64_t in_size() const { return shape_.in_pixels() * shape_.in_channels; }
  int64_t out_size() const { return shape_.out_pixels() * shape_.out_channels; }

  static void append(std::vector<unsigned char>& bytes, const void* maps, int64_t n, int64_t size) {
    const auto* const from = static_cast<const unsigned char*>(maps) + n * size * 4;
    bytes.insert(bytes.end(), from, from + size * 4);
  }

  cpu::PackedWeight packed(Tensors& tensors, const Convolution& shape, int out_dimension,
                           const Run& run) const {
    const int64_t large = shape_.transposed ? shape_.out_channels : shape_.in_channels;
    const int64_t strides[2] = {large * shape_.taps(), shape_.taps()};
    const int64_t stride[4] = {strides[out_dimension], strides[1 - out_dimension], shape_.kernel[1], 1};
    void* const memory = tensors.output("packed weight", kFloat, cpu::packed_weight_size(shape));
    return cpu::pack_weight(shape, kFloat, tensors.input("weight", kFloat, weight_), stride, memory,
                            run.pool);
  }

  Convolution shape_;
  Numbers weight_;
};

void check(const Convolution& shape, int64_t images) {
  ConvolutionCase named;
  named.shape = shape;
  named.images = images;
  report().begin_case("image by image: " + named.name());
  const Pair pair(shape);
  const Maps all = pair.make(images);
  each_run([&](const Run& run) {
    const std::vector<unsigned char> whole = pair.run(all, images, run);
    const size_t size = whole.size() / static_cast<size_t>(images);
    for (int64_t n = 0; n < images; ++n) {
      const std::vector<unsigned char> alone = pair.run(pair.image(all, n), 1, run);
      if (std::memcmp(alone.data(), whole.data() + static_cast<size_t>(n) * size, size) != 0)
        report().fail(text("image %d has other bits when it is alone", static_cast<int>(n)));
    }
    return whole;
  });
}

}  // namespace

void check_image_independence(bool thorough) {
  check(convolution(true, 40, 48, 8, 8, 4, 2, 1), 7);
  check(convolution(true, 9, 3, 5, 19, 4, 2, 1), 3);
  check(convolution(false, 20, 18, 7, 6, 3, 1, 1), 5);
  if (!thorough) return;
  check(convolution(false, 65, 33, 16, 16, 4, 2, 1), 7);
  check(convolution(true, 40, 48, 14, 14, 4, 2, 1), 4);
  check(convolution(true, 33, 34, 34, 17, 4, 2, 1), 3);
  check(convolution(true, 330, 34, 4, 4, 4, 2, 1), 20);
  check(convolution(false, 3, 40, 14, 38, 4, 2, 1), 3);
  check(convolution(true, 100, 20, 1, 1, 4, 1, 0), 35);
}

}  // namespace fastgan::test

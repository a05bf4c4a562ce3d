// The program of a frozen generator made steps: checked against its numbers, so that no step reaches outside
// them. Knows neither torch nor files nor devices; programs that nobody vouches for come to it.
//
// Between two steps an image is a row of numbers in the order H, W, C; see
// fastgan/reference/frozen_generator.py, which defines the steps.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/affine_act.h"
#include "common/convolution.h"

namespace fastgan {

// The values are the kinds of a program.
enum class FrozenStepKind : int64_t { kConvolution = 0, kAffine, kActivation, kPermutation };

// Weight: how a backend holds a packed weight.
template <class Weight>
struct FrozenStepOf {
  FrozenStepKind kind;
  // kConvolution
  Convolution shape;
  Weight weight;
  const float* bias;  // [out_channels] or nullptr
  // kAffine: tables [1 or classes, channels]
  const float *scale, *shift;
  int64_t channels;
  bool by_label;
  // kActivation
  Activation activation;
  double negative_slope;
  // kPermutation
  const int64_t* index;

  int64_t size;  // of the row it writes
};

// Integers that a step takes in a program, as encode() of fastgan/reference/frozen_generator.py writes them.
constexpr int64_t kFrozenStepWidth = 16;

// Numbers of a row at most: far beyond any image, and far from where sizes of memory overflow.
constexpr int64_t kLargestRow = int64_t{1} << 28;

// A program that does not fit its numbers, or itself: half a sentence that says where and what.
class FrozenProgramError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Dense numbers that steps refer to: floats or indices, the other nullptr.
struct FrozenNumbers {
  const float* floats;
  const int64_t* indices;
  int64_t count;
};

struct FrozenProgram {
  const std::vector<int64_t>* steps;          // kFrozenStepWidth each
  const std::vector<double>* slopes;          // one a step
  const std::vector<FrozenNumbers>* tensors;  // by the places that steps name
  const std::vector<FrozenNumbers>* packed;   // the convolutions' in their order, as the backend packs them
  int64_t latent_size;
  int64_t classes;   // of every table read by label
  int64_t image[3];  // channels, height, width
};

namespace frozen {

constexpr int64_t kLargest = int64_t{1} << 31;  // what a program says is below it, so that products fit
constexpr int64_t kMostPhases = int64_t{1} << 16;

inline void check(bool good, const char* what) {
  if (!good) throw FrozenProgramError(what);
}

// The product of numbers from 0 to kLargest.
inline int64_t row_size(std::initializer_list<int64_t> factors) {
  int64_t size = 1;
  for (const int64_t factor : factors) {
    size *= factor;
    check(size <= kLargestRow, "a row is too long");
  }
  return size;
}

// Whether the result is what torch gives: a transposed convolution's with an output padding below the stride.
inline bool fits(const Convolution& shape, int axis) {
  const int64_t in = shape.in_size[axis], out = shape.out_size[axis], kernel = shape.kernel[axis];
  const int64_t stride = shape.stride[axis], both = 2 * shape.padding[axis];
  if (!shape.transposed) return in + both >= kernel && (in + both - kernel) / stride + 1 == out;
  const int64_t output_padding = out - ((in - 1) * stride - both + kernel);
  return output_padding >= 0 && output_padding < stride;
}

// The kernels walk over every phase, and over the input with its padding.
inline void check_work(const Convolution& shape) {
  int64_t phases = 1;
  for (int axis = 0; axis < 2; ++axis) {
    if (shape.transposed) phases *= shape.in_size[axis] == 1 ? shape.out_size[axis] : shape.stride[axis];
    check(phases <= kMostPhases, "a stride is too long");
  }
  row_size({input_extent(shape, 0).count, input_extent(shape, 1).count, shape.in_channels});
}

inline const float* floats(const FrozenNumbers& numbers, int64_t count, const char* what) {
  check(numbers.floats != nullptr && numbers.count == count, what);
  return numbers.floats;
}

}  // namespace frozen

// What a step of kind kConvolution says. Throws FrozenProgramError.
inline Convolution frozen_convolution(const int64_t* step) {
  using frozen::check;
  using frozen::row_size;
  Convolution shape{};
  for (int i = 3; i < 15; ++i)
    check(step[i] >= 0 && step[i] < frozen::kLargest, "a geometry is out of range");
  shape.in_channels = step[5];
  shape.out_channels = step[8];
  for (int axis = 0; axis < 2; ++axis) {
    shape.in_size[axis] = step[3 + axis];
    shape.out_size[axis] = step[6 + axis];
    shape.kernel[axis] = step[9 + axis];
    shape.stride[axis] = step[11 + axis];
    shape.padding[axis] = step[13 + axis];
    check(shape.kernel[axis] > 0 && shape.stride[axis] > 0, "a kernel or stride is empty");
    check(shape.in_size[axis] > 0 && shape.out_size[axis] > 0, "a map is empty");
  }
  shape.transposed = step[15] != 0;
  check(shape.in_channels > 0 && shape.out_channels > 0, "a map is empty");
  row_size({shape.in_size[0], shape.in_size[1], shape.in_channels});
  row_size({shape.out_size[0], shape.out_size[1], shape.out_channels});
  check(frozen::fits(shape, 0) && frozen::fits(shape, 1), "a convolution gives another map");
  frozen::check_work(shape);
  return shape;
}

// The sizes of a convolution's weight: [out, in, kH, kW], transposed [in, out, kH, kW].
struct FrozenWeightSizes {
  int64_t size[4];
};

inline FrozenWeightSizes frozen_weight_sizes(const Convolution& shape) {
  const int64_t out = shape.out_channels, in = shape.in_channels;
  return {{shape.transposed ? in : out, shape.transposed ? out : in, shape.kernel[0], shape.kernel[1]}};
}

namespace frozen {

// Takes step after step; rows of `size` numbers come in, and the last step's go out.
template <class Backend>
class Reader {
 public:
  using Step = FrozenStepOf<typename Backend::Weight>;

  Reader(const FrozenProgram& program, const Backend& backend)
      : backend_(backend),
        tensors_(*program.tensors),
        packed_(*program.packed),
        classes_(program.classes),
        size_(program.latent_size) {}

  Step next(const int64_t* numbers, double negative_slope) {
    check(numbers[0] >= 0 && numbers[0] <= 3, "a step is of no kind");
    Step step{};
    step.kind = static_cast<FrozenStepKind>(numbers[0]);
    switch (step.kind) {
      case FrozenStepKind::kConvolution:
        convolve(numbers, step);
        break;
      case FrozenStepKind::kAffine:
        scale(numbers, step);
        break;
      case FrozenStepKind::kActivation:
        check(numbers[1] >= 0 && numbers[1] <= static_cast<int64_t>(Activation::kTanh), "no such activation");
        step.activation = static_cast<Activation>(numbers[1]);
        step.negative_slope = negative_slope;
        break;
      case FrozenStepKind::kPermutation:
        permute(numbers, step);
        break;
    }
    step.size = size_;
    return step;
  }

  int64_t size() const { return size_; }

 private:
  const FrozenNumbers& tensor(int64_t place) const {
    check(place >= 0 && place < static_cast<int64_t>(tensors_.size()), "a step refers to no tensor");
    return tensors_[static_cast<size_t>(place)];
  }

  void convolve(const int64_t* numbers, Step& step) {
    step.shape = frozen_convolution(numbers);
    check(step.shape.in_pixels() * step.shape.in_channels == size_,
          "a convolution does not read what is there");
    check(convolutions_ < packed_.size(), "a packed weight is missing");
    const FrozenNumbers& packed = packed_[convolutions_++];
    const float* const weight =
        floats(packed, backend_.packed_count(step.shape), "a packed weight has another size");
    step.weight = backend_.weight(weight, packed.count);
    if (numbers[2] >= 0)
      step.bias = floats(tensor(numbers[2]), step.shape.out_channels, "a bias has another size");
    size_ = step.shape.out_pixels() * step.shape.out_channels;
  }

  void scale(const int64_t* numbers, Step& step) {
    step.channels = numbers[3];
    step.by_label = numbers[4] != 0;
    const int64_t rows = step.by_label ? numbers[4] : 1;
    check(step.channels > 0 && size_ % step.channels == 0, "a scale has another number of channels");
    check(!step.by_label || (rows == classes_ && rows < kLargest), "a table has another number of classes");
    step.scale = floats(tensor(numbers[1]), rows * step.channels, "a scale has another size");
    step.shift = floats(tensor(numbers[2]), rows * step.channels, "a shift has another size");
  }

  void permute(const int64_t* numbers, Step& step) {
    const FrozenNumbers& index = tensor(numbers[1]);
    check(index.indices != nullptr && index.count == size_, "a permutation has another size");
    step.index = index.indices;
    check(backend_.good_index(step.index, size_), "no such place in a row");
  }

  const Backend& backend_;
  const std::vector<FrozenNumbers>&tensors_, &packed_;
  size_t convolutions_ = 0;
  int64_t classes_, size_;
};

}  // namespace frozen

// The steps, which point into the program's numbers. Throws FrozenProgramError. A backend has
//   Weight                                  what its steps hold of a packed weight
//   int64_t packed_count(Convolution)       the numbers of one
//   Weight weight(const float*, int64_t)    it, from these
//   bool good_index(const int64_t*, int64_t size)   whether a permutation stays in its row
template <class Backend>
std::vector<FrozenStepOf<typename Backend::Weight>> frozen_steps(const FrozenProgram& program,
                                                                 const Backend& backend) {
  using frozen::check;
  const std::vector<int64_t>& numbers = *program.steps;
  const std::vector<double>& slopes = *program.slopes;
  check(numbers.size() == slopes.size() * kFrozenStepWidth, "the program has another length than its slopes");
  frozen::Reader<Backend> reader(program, backend);
  std::vector<FrozenStepOf<typename Backend::Weight>> steps;
  for (size_t i = 0; i < slopes.size(); ++i) {
    try {
      steps.push_back(reader.next(numbers.data() + i * kFrozenStepWidth, slopes[i]));
    } catch (const FrozenProgramError& error) {
      throw FrozenProgramError("step " + std::to_string(i) + ": " + error.what());
    }
  }
  const int64_t* const image = program.image;
  for (int i = 0; i < 3; ++i)
    check(image[i] > 0 && image[i] < frozen::kLargest, "the plan gives another image");
  check(frozen::row_size({image[0], image[1], image[2]}) == reader.size(), "the plan gives another image");
  return steps;
}

}  // namespace fastgan

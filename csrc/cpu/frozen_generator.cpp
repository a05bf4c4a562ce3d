// The loop over a frozen generator's plan. Scale, shift and activation wait for the convolution that reads
// them, or for the end; where neither can take them they are applied in place.
#include "cpu/frozen_generator.h"

#include <algorithm>
#include <memory>

#include "cpu/affine_act.h"

namespace fastgan::cpu {
namespace {

constexpr int64_t kChunk = 64;  // images at a time, which bounds the workspace

class Chunk {
 public:
  Chunk(const FrozenGeneratorArguments& a, ParallelFor pool)
      : a_(a), pool_(pool), most_(std::min(kChunk, a.images)) {
    int64_t row = a.latent_size, table = 0;
    for (const FrozenStep& step : *a.steps) {
      row = std::max(row, step.size);
      if (step.kind == FrozenStepKind::kAffine && step.by_label) table = std::max(table, step.channels);
    }
    for (auto& buffer : buffers_) buffer.reset(new float[static_cast<size_t>(most_ * row)]);
    for (auto& rows : tables_) rows.reset(new float[static_cast<size_t>(most_ * table)]);
  }

  // Images first .. first + count - 1, from latents to output.
  void run(int64_t first, int64_t count) {
    count_ = count;
    labels_ = a_.labels == nullptr ? nullptr : a_.labels + first;
    at_ = a_.z + first * a_.latent_size;
    size_ = a_.latent_size;
    pending_ = {};
    for (const FrozenStep& step : *a_.steps) {
      switch (step.kind) {
        case FrozenStepKind::kConvolution:
          convolve(step);
          break;
        case FrozenStepKind::kAffine:
          if (waits()) apply();
          take_affine(step);
          break;
        case FrozenStepKind::kActivation:
          if (pending_.activation != Activation::kNone) apply();
          pending_.activation = step.activation;
          pending_.negative_slope = step.negative_slope;
          break;
        case FrozenStepKind::kPermutation:
          if (waits()) apply();
          permute(step);
          break;
      }
    }
    finish(first);
  }

 private:
  bool has_rows() const { return pending_.scale.data != nullptr; }
  bool waits() const { return has_rows() || pending_.activation != Activation::kNone; }

  // The buffer that the row is not in.
  float* other() const { return buffers_[at_ == buffers_[0].get() ? 1 : 0].get(); }

  void convolve(const FrozenStep& step) {
    const Convolution& shape = step.shape;
    if ((has_rows() && channels_ != shape.in_channels) || pending_.activation == Activation::kTanh) apply();
    float* const to = other();
    AffineActConvArguments a{};
    a.type = ElementType::kFloat;
    a.shape = shape;
    a.images = count_;
    a.input = nhwc(at_, shape.in_channels, shape.in_size[0], shape.in_size[1]);
    a.affine = pending_;
    a.weight = step.weight;
    a.bias = step.bias;
    a.output = to;
    affine_act_conv(a, pool_);
    arrived(to, step.size);
  }

  void take_affine(const FrozenStep& step) {
    channels_ = step.channels;
    pending_.scale = rows(step, step.scale, tables_[0].get());
    pending_.shift = rows(step, step.shift, tables_[1].get());
  }

  // The table's rows of the images at hand.
  Rows rows(const FrozenStep& step, const float* table, float* to) const {
    if (!step.by_label) return {table, 0};
    for (int64_t i = 0; i < count_; ++i) {
      std::copy_n(table + labels_[i] * step.channels, step.channels, to + i * step.channels);
    }
    return {to, step.channels};
  }

  // What is pending, as a pass over the rows: in place, unless they are the caller's.
  void apply() {
    const bool own = at_ == buffers_[0].get() || at_ == buffers_[1].get();
    float* const to = own ? const_cast<float*>(at_) : other();
    pass(has_rows() ? channels_ : 1, false, to);
    arrived(to, size_);
  }

  void permute(const FrozenStep& step) {
    const float* const from = at_;
    float* const to = other();
    const int64_t size = size_;
    parallel_for(pool_, count_, /*grain=*/1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t j = 0; j < size; ++j) to[i * size + j] = from[i * size + step.index[j]];
      }
    });
    arrived(to, size);
  }

  void finish(int64_t first) {
    if (has_rows() && channels_ != a_.image_channels) apply();
    if (a_.pixels) {
      pass(a_.image_channels, true, static_cast<uint8_t*>(a_.output) + first * size_);
    } else {
      pass(a_.image_channels, false, static_cast<float*>(a_.output) + first * size_);
    }
  }

  void pass(int64_t channels, bool pixels, void* to) const {
    AffineActArguments a{};
    a.type = ElementType::kFloat;
    a.shape = {count_, channels, size_ / channels, /*channels_last=*/true};
    a.input = at_;
    a.affine = pending_;
    a.pixels = pixels;
    a.output = to;
    affine_act(a, pool_);
  }

  void arrived(const float* at, int64_t size) {
    at_ = at;
    size_ = size;
    pending_ = {};
  }

  const FrozenGeneratorArguments& a_;
  ParallelFor pool_;
  int64_t most_;
  std::unique_ptr<float[]> buffers_[2], tables_[2];
  // The chunk at hand.
  int64_t count_ = 0;
  const int64_t* labels_ = nullptr;
  const float* at_ = nullptr;  // its rows
  int64_t size_ = 0;           // of a row
  AffineAct pending_;          // not yet applied to them
  int64_t channels_ = 0;       // of pending_'s scale and shift
};

}  // namespace

void frozen_generator(const FrozenGeneratorArguments& arguments, ParallelFor pool) {
  Chunk chunk(arguments, pool);
  for (int64_t first = 0; first < arguments.images; first += kChunk) {
    chunk.run(first, std::min(kChunk, arguments.images - first));
  }
}

}  // namespace fastgan::cpu

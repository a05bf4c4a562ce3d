// Making a plan ready to run: numbers copied out of the file, weights packed, the program checked.
#include "c_api/generator.h"

#include <cstring>
#include <new>
#include <string>

#include "c_api/refusal.h"

namespace fastgan::c_api {
namespace {

constexpr std::align_val_t kAlignment{64};

void one_thread(int64_t count, int64_t, cpu::RangeBody body, void* context) { body(0, count, context); }

}  // namespace

void Generator::Free::operator()(void* memory) const { ::operator delete(memory, kAlignment); }

Generator::Memory Generator::allocate(size_t bytes) { return Memory(::operator new(bytes, kAlignment)); }

Generator::Generator(const FrozenFile& file, cpu::Capability capability)
    : capability_(capability),
      latent_size_(file.latent_size),
      classes_(file.classes),
      image_{file.image[0], file.image[1], file.image[2]},
      is_vector_(file.is_vector) {
  const cpu::CapabilityScope scope(capability);
  try {
    // Weights are kept packed only: their places among the tensors stay empty.
    std::vector<bool> is_weight(file.tensors.size(), false);
    std::vector<cpu::FrozenNumbers> tensors, packed;
    for (size_t at = 0; at < file.steps.size(); at += cpu::kFrozenStepWidth) {
      const int64_t* const step = file.steps.data() + at;
      if (step[0] != static_cast<int64_t>(cpu::FrozenStepKind::kConvolution)) continue;
      const auto place = static_cast<size_t>(step[1]);
      is_weight[place] = true;
      try {
        packed.push_back(pack(step, *file.tensors[place]));
      } catch (const cpu::FrozenProgramError& error) {
        throw cpu::FrozenProgramError("step " + std::to_string(at / cpu::kFrozenStepWidth) + ": " +
                                      error.what());
      }
    }
    for (size_t i = 0; i < file.tensors.size(); ++i)
      tensors.push_back(is_weight[i] ? cpu::FrozenNumbers{} : keep(*file.tensors[i]));
    steps_ = cpu::frozen_steps({&file.steps,
                                &file.slopes,
                                &tensors,
                                &packed,
                                latent_size_,
                                classes_,
                                {image_[0], image_[1], image_[2]}});
  } catch (const cpu::FrozenProgramError& error) {
    throw no_whole_plan(error.what());
  }
}

cpu::FrozenNumbers Generator::keep(const StoredTensor& tensor) {
  const size_t bytes =
      static_cast<size_t>(tensor.count) * (tensor.is_index ? sizeof(int64_t) : sizeof(float));
  kept_.push_back(allocate(bytes));
  void* const memory = kept_.back().get();
  std::memcpy(memory, tensor.data, bytes);
  if (tensor.is_index) return {nullptr, static_cast<const int64_t*>(memory), tensor.count};
  return {static_cast<const float*>(memory), nullptr, tensor.count};
}

cpu::FrozenNumbers Generator::pack(const int64_t* step, const StoredTensor& tensor) {
  const Convolution shape = cpu::frozen_convolution(step);
  const cpu::FrozenWeightSizes sizes = cpu::frozen_weight_sizes(shape);
  for (size_t i = 0; i < 4; ++i) {
    if (tensor.shape[i] != sizes.size[i]) throw cpu::FrozenProgramError("a weight has another shape");
  }
  const Memory weight = allocate(static_cast<size_t>(tensor.count) * sizeof(float));
  std::memcpy(weight.get(), tensor.data, static_cast<size_t>(tensor.count) * sizeof(float));
  const int64_t taps = sizes.size[2] * sizes.size[3];
  const int64_t stride[4] = {sizes.size[1] * taps, taps, sizes.size[3], 1};
  const int64_t count = cpu::packed_weight_size(shape) + 1;
  kept_.push_back(allocate(static_cast<size_t>(count) * sizeof(float)));
  auto* const packed = static_cast<float*>(kept_.back().get());
  cpu::pack_frozen_weight(shape, static_cast<const float*>(weight.get()), stride, packed, &one_thread);
  return {packed, nullptr, count};
}

}  // namespace fastgan::c_api

// affine_act on CUDA: the launchers. They know no torch; the stream comes as a pointer.
#include "common/element_type.h"
#include "cuda/affine_act.h"
#include "cuda/affine_act_backward.cuh"
#include "cuda/affine_act_forward.cuh"

namespace fastgan::cuda {
namespace {

bool aligned(const void* memory) { return reinterpret_cast<uintptr_t>(memory) % 16 == 0; }

bool by_image(const AffineAct& affine) {
  return affine.scale.row_stride != 0 || affine.shift.row_stride != 0;
}

int pack_of(ElementType type, bool aligned) {
  if (!aligned) return 1;
  return type == ElementType::kDouble ? 2 : type == ElementType::kFloat ? 4 : 8;
}

MapTiling tiling_of(const AffineActArguments& a) {
  const int pack = pack_of(a.type, aligned(a.input) && aligned(a.output));
  return map_tiling(a.shape, pack, by_image(a.affine));
}

bool wants_sums(const AffineActBackwardArguments& a) { return a.d_scale != nullptr || a.d_shift != nullptr; }

MapTiling tiling_of(const AffineActBackwardArguments& a) {
  const int pack = pack_of(a.type, aligned(a.grad_output) && aligned(a.input) && aligned(a.d_input));
  return map_tiling(a.shape, pack, by_image(a.affine));
}

dim3 grid_of(const MapTiling& t) {
  return dim3(static_cast<unsigned>(t.blocks), static_cast<unsigned>(t.column_tiles));
}

template <class In, class T, int pack>
void launch_forward(const AffineActArguments& a, const MapTiling& t, void* stream) {
  if (t.channels_last) {
    FASTGAN_LAUNCH((affine_act_interleaved_kernel<In, T, pack>), grid_of(t), kMapThreads, 0, stream, a, t);
  } else {
    FASTGAN_LAUNCH((affine_act_planar_kernel<In, T, pack>), grid_of(t), kMapThreads, 0, stream, a, t);
  }
}

template <class In, class T, int pack>
void launch_backward(const AffineActBackwardArguments& a, const MapTiling& t, double* partial, void* stream) {
  if (t.channels_last) {
    FASTGAN_LAUNCH((affine_act_backward_interleaved_kernel<In, T, pack>), grid_of(t), kMapThreads, 0, stream,
                   a, t, partial);
  } else {
    FASTGAN_LAUNCH((affine_act_backward_planar_kernel<In, T, pack>), grid_of(t), kMapThreads, 0, stream, a, t,
                   partial);
  }
}

template <class T>
void launch_merge(const AffineActBackwardArguments& a, const MapTiling& t, const double* partial,
                  void* stream) {
  // At least one: the other vector may be for all images, also where there are none.
  const int64_t rows = by_image(a.affine) && a.shape.images > 0 ? a.shape.images : 1;
  const int64_t blocks = rows * divided_up(a.shape.channels, kMergeChannels);
  if (blocks == 0) return;
  FASTGAN_LAUNCH(affine_act_merge_kernel<T>, dim3(static_cast<unsigned>(blocks), 2), kMapThreads, 0, stream,
                 a, t, partial);
}

}  // namespace
}  // namespace fastgan::cuda

extern "C" const char* fastgan_cuda_affine_act(const fastgan::AffineActArguments* arguments, void* stream) {
  using namespace fastgan::cuda;
  const fastgan::AffineActArguments& a = *arguments;
  const MapTiling t = tiling_of(a);
  if (const char* const refused = refusal(t)) return refused;
  if (t.blocks == 0) return nullptr;
  fastgan::with_types<Half, BFloat16>(a.type, [&](auto types) {
    using In = typename decltype(types)::In;
    using T = typename decltype(types)::T;
    if (t.pack == 1) {
      launch_forward<In, T, 1>(a, t, stream);
    } else {
      launch_forward<In, T, 16 / sizeof(In)>(a, t, stream);
    }
  });
  return launch_failure("affine_act");
}

extern "C" const char* fastgan_cuda_affine_act_backward(const fastgan::AffineActBackwardArguments* arguments,
                                                        void* partial, void* stream) {
  using namespace fastgan::cuda;
  const fastgan::AffineActBackwardArguments& a = *arguments;
  const MapTiling t = tiling_of(a);
  if (const char* const refused = refusal(t)) return refused;
  const bool sums = wants_sums(a);
  auto* const parts = sums ? static_cast<double*>(partial) : nullptr;
  fastgan::with_types<Half, BFloat16>(a.type, [&](auto types) {
    using In = typename decltype(types)::In;
    using T = typename decltype(types)::T;
    if (t.blocks > 0 && t.pack == 1) launch_backward<In, T, 1>(a, t, parts, stream);
    if (t.blocks > 0 && t.pack > 1) launch_backward<In, T, 16 / sizeof(In)>(a, t, parts, stream);
    if (sums) launch_merge<T>(a, t, parts, stream);
  });
  return launch_failure("affine_act");
}

extern "C" int64_t fastgan_cuda_affine_act_partial(const fastgan::AffineActBackwardArguments* arguments) {
  using namespace fastgan::cuda;
  if (!wants_sums(*arguments)) return 0;
  const MapTiling t = tiling_of(*arguments);
  return t.images * t.tiles * 2 * t.channels;
}

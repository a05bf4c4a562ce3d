// gan_loss on CUDA: the launcher. Knows no torch; the stream comes as a pointer.
#include "cuda/gan_loss.cuh"
#include "cuda/gan_loss.h"

namespace {

using fastgan::ElementType;
using fastgan::GanLossArguments;
using fastgan::GanLossSums;

template <class In, class T>
void launch(const GanLossArguments& a, GanLossSums* partial, cudaStream_t stream) {
  const int64_t tiles = fastgan::gan_loss_tiles(a.real_count, a.fake_count);
  fastgan::cuda::gan_loss_tile_kernel<In, T>
      <<<static_cast<unsigned>(tiles), fastgan::cuda::kThreads, 0, stream>>>(a, partial);
  fastgan::cuda::gan_loss_merge_kernel<T><<<1, fastgan::cuda::kThreads, 0, stream>>>(a, partial, tiles);
}

}  // namespace

extern "C" const char* fastgan_cuda_gan_loss(const GanLossArguments* arguments, void* partial, void* stream) {
  auto* sums = static_cast<GanLossSums*>(partial);
  auto* queue = static_cast<cudaStream_t>(stream);
  switch (arguments->type) {
    case ElementType::kFloat:
      launch<float, float>(*arguments, sums, queue);
      break;
    case ElementType::kDouble:
      launch<double, double>(*arguments, sums, queue);
      break;
    case ElementType::kHalf:
      launch<__half, float>(*arguments, sums, queue);
      break;
    case ElementType::kBFloat16:
      launch<__nv_bfloat16, float>(*arguments, sums, queue);
      break;
  }
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

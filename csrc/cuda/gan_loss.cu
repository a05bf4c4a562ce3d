// gan_loss on CUDA: the launcher. Knows no torch; the stream comes as a pointer.
#include "common/element_type.h"
#include "cuda/gan_loss.cuh"
#include "cuda/gan_loss.h"

extern "C" const char* fastgan_cuda_gan_loss(const fastgan::GanLossArguments* arguments, void* partial,
                                             void* stream) {
  using namespace fastgan::cuda;
  const fastgan::GanLossArguments& a = *arguments;
  auto* sums = static_cast<fastgan::GanLossSums*>(partial);
  const int64_t tiles = fastgan::gan_loss_tiles(a.real_count, a.fake_count);
  fastgan::with_types<Half, BFloat16>(a.type, [&](auto types) {
    using In = typename decltype(types)::In;
    using T = typename decltype(types)::T;
    FASTGAN_LAUNCH((gan_loss_tile_kernel<In, T>), static_cast<unsigned>(tiles), kTileThreads<In>, 0, stream,
                   a, sums);
    FASTGAN_LAUNCH(gan_loss_merge_kernel<T>, 1, kThreads, 0, stream, a, sums, tiles);
  });
  return launch_failure("gan_loss");
}

// affine_act_conv on CUDA: the kernels for bfloat16 maps.
#include "cuda/affine_act_conv.cuh"

namespace fastgan::cuda {

void launch_affine_act_conv_bfloat16(const ConvolutionLaunch& launch, TileKind kind, void* stream) {
  queue<BFloat16, Products::kHalves>(launch, kind, stream);
}

}  // namespace fastgan::cuda

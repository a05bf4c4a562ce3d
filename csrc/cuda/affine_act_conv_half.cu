// affine_act_conv on CUDA: the kernels for float16 maps.
#include "cuda/affine_act_conv.cuh"

namespace fastgan::cuda {

void launch_affine_act_conv_half(const ConvolutionLaunch& launch, TileKind kind, void* stream) {
  queue<Half, Products::kHalves>(launch, kind, stream);
}

}  // namespace fastgan::cuda

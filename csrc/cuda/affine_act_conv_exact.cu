// affine_act_conv on CUDA: the kernels for float maps by multiply-adds.
#include "cuda/affine_act_conv.cuh"

namespace fastgan::cuda {

void launch_affine_act_conv_exact(const ConvolutionLaunch& launch, TileKind kind, void* stream) {
  queue<float, Products::kExact>(launch, kind, stream);
}

}  // namespace fastgan::cuda

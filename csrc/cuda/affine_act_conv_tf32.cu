// affine_act_conv on CUDA: the kernels for float maps on tensor cores.
#include "cuda/affine_act_conv.cuh"

namespace fastgan::cuda {

void launch_affine_act_conv_tf32(const ConvolutionLaunch& launch, TileKind kind, void* stream) {
  queue<float, Products::kTf32>(launch, kind, stream);
}

}  // namespace fastgan::cuda

"""Which source files each shared object is made of. Needs the standard library alone."""

import re

CPU_SOURCES = [
    "csrc/cpu/capability.cpp",
    "csrc/cpu/affine_act.cpp",
    "csrc/cpu/affine_act_default.cpp",
    "csrc/cpu/affine_act_avx2.cpp",
    "csrc/cpu/affine_act_avx512.cpp",
    "csrc/cpu/affine_act_conv.cpp",
    "csrc/cpu/affine_act_conv_default.cpp",
    "csrc/cpu/affine_act_conv_avx2.cpp",
    "csrc/cpu/affine_act_conv_avx512.cpp",
    "csrc/cpu/affine_act_conv_gradients.cpp",
    "csrc/cpu/affine_act_conv_input_grad_default.cpp",
    "csrc/cpu/affine_act_conv_input_grad_avx2.cpp",
    "csrc/cpu/affine_act_conv_input_grad_avx512.cpp",
    "csrc/cpu/affine_act_conv_weight_grad_default.cpp",
    "csrc/cpu/affine_act_conv_weight_grad_avx2.cpp",
    "csrc/cpu/affine_act_conv_weight_grad_avx512.cpp",
    "csrc/cpu/channel_statistics.cpp",
    "csrc/cpu/channel_statistics_default.cpp",
    "csrc/cpu/channel_statistics_avx2.cpp",
    "csrc/cpu/channel_statistics_avx512.cpp",
    "csrc/cpu/frozen_generator.cpp",
    "csrc/cpu/frozen_program.cpp",
    "csrc/cpu/gan_loss.cpp",
    "csrc/cpu/gan_loss_default.cpp",
    "csrc/cpu/pack_weight_default.cpp",
    "csrc/cpu/pack_weight_avx2.cpp",
    "csrc/cpu/pack_weight_avx512.cpp",
    "csrc/cpu/scratch.cpp",
    "csrc/cpu/team.cpp",
]
# Sums of products, which FMA is for; in the default ones where the baseline has it, as on aarch64 and not on x86-64.
FUSED_SOURCES = [s for s in CPU_SOURCES if re.search(r"/affine_act_conv\w*_(default|avx2|avx512)\.cpp$", s)]
CUDA_SOURCES = [
    "csrc/cuda/affine_act_conv.cu",
    "csrc/cuda/affine_act_conv_bfloat16.cu",
    "csrc/cuda/affine_act_conv_exact.cu",
    "csrc/cuda/affine_act_conv_half.cu",
    "csrc/cuda/affine_act_conv_tf32.cu",
    "csrc/cuda/affine_act.cu",
    "csrc/cuda/frozen_generator.cu",
    "csrc/cuda/gan_loss.cu",
]
TORCH_SOURCES = [
    "csrc/torch/library.cpp",
    "csrc/torch/affine_act.cpp",
    "csrc/torch/affine_act_conv.cpp",
    "csrc/torch/affine_act_conv_cuda.cpp",
    "csrc/torch/channel_statistics.cpp",
    "csrc/torch/frozen_generator.cpp",
    "csrc/torch/gan_loss.cpp",
]
HOST_SOURCES = ["csrc/host/bindings.cpp", "csrc/cpu/capability.cpp", "csrc/cpu/fma_peak.cpp", "csrc/cpu/noise.cpp"]
# The library of the C API: frozen generators, without gradients and losses. csrc/c_api/library.mk builds the same.
C_API_SOURCES = [
    "csrc/c_api/caller_pool.cpp",
    "csrc/c_api/fastgan.cpp",
    "csrc/c_api/frozen_file.cpp",
    "csrc/c_api/generator.cpp",
    "csrc/c_api/json.cpp",
    "csrc/c_api/read_file.cpp",
    "csrc/c_api/safetensors.cpp",
    "csrc/cpu/affine_act.cpp",
    "csrc/cpu/affine_act_default.cpp",
    "csrc/cpu/affine_act_avx2.cpp",
    "csrc/cpu/affine_act_avx512.cpp",
    "csrc/cpu/affine_act_conv.cpp",
    "csrc/cpu/affine_act_conv_default.cpp",
    "csrc/cpu/affine_act_conv_avx2.cpp",
    "csrc/cpu/affine_act_conv_avx512.cpp",
    "csrc/cpu/capability.cpp",
    "csrc/cpu/frozen_generator.cpp",
    "csrc/cpu/frozen_program.cpp",
    "csrc/cpu/noise.cpp",
    "csrc/cpu/pack_weight_default.cpp",
    "csrc/cpu/pack_weight_avx2.cpp",
    "csrc/cpu/pack_weight_avx512.cpp",
    "csrc/cpu/scratch.cpp",
    "csrc/cpu/team.cpp",
]

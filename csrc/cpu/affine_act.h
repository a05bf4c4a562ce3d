// affine_act and its gradients on the CPU: one pass over dense feature maps.
#pragma once

#include "common/affine_act_arguments.h"
#include "cpu/map_tiles.h"
#include "cpu/parallel.h"
#include "cpu/tensor_view.h"

namespace fastgan::cpu {

using fastgan::AffineActArguments;
using fastgan::AffineActBackwardArguments;

void affine_act(const AffineActArguments& arguments, ParallelFor pool);

void affine_act_backward(const AffineActBackwardArguments& arguments, ParallelFor pool);

void affine_act_default(const AffineActArguments& arguments, ParallelFor pool);
void affine_act_avx2(const AffineActArguments& arguments, ParallelFor pool);
void affine_act_avx512(const AffineActArguments& arguments, ParallelFor pool);
void affine_act_backward_default(const AffineActBackwardArguments& arguments, ParallelFor pool);
void affine_act_backward_avx2(const AffineActBackwardArguments& arguments, ParallelFor pool);
void affine_act_backward_avx512(const AffineActBackwardArguments& arguments, ParallelFor pool);

}  // namespace fastgan::cpu

// affine_act, channel_statistics and their gradients as they are defined.
#include "definition.h"

namespace fastgan::test {

Numbers affine_act(const AffineNumbers& affine, const Numbers& x, int64_t images, int64_t channels) {
  Numbers z(x.size());
  const int64_t per_image = images == 0 ? 1 : static_cast<int64_t>(x.size()) / images;
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t n = static_cast<int64_t>(i) / per_image, c = static_cast<int64_t>(i) % channels;
    z[i] = activated(affine, affine.scale_at(n, c, channels) * x[i] + affine.shift_at(n, c, channels));
  }
  return z;
}

AffineGradients affine_act_backward(const AffineNumbers& affine, const Numbers& dz, const Numbers& x,
                                    int64_t images, int64_t channels) {
  AffineGradients gradients{Numbers(dz.size()), Numbers(affine.scale.size()), Numbers(affine.shift.size())};
  const int64_t per_image = images == 0 ? 1 : static_cast<int64_t>(dz.size()) / images;
  const auto add = [&](Numbers& rows, int64_t n, int64_t c, double term) {
    if (rows.empty()) return;
    rows[static_cast<size_t>(static_cast<int64_t>(rows.size()) == channels ? c : n * channels + c)] += term;
  };
  for (size_t i = 0; i < dz.size(); ++i) {
    const int64_t n = static_cast<int64_t>(i) / per_image, c = static_cast<int64_t>(i) % channels;
    const double scale = affine.scale_at(n, c, channels);
    const double dv = activated_backward(affine, dz[i], scale * x[i] + affine.shift_at(n, c, channels));
    gradients.d_input[i] = scale * dv;
    add(gradients.d_scale, n, c, dv * x[i]);
    add(gradients.d_shift, n, c, dv);
  }
  return gradients;
}

MeanAndVariance channel_statistics(const Numbers& maps, const Numbers& bias, int64_t channels) {
  MeanAndVariance result{Numbers(static_cast<size_t>(channels)), Numbers(static_cast<size_t>(channels))};
  const auto stride = static_cast<size_t>(channels);
  const auto count = static_cast<double>(maps.size() / stride);
  for (size_t c = 0; c < stride; ++c) {
    const double less = bias.empty() ? 0 : bias[c];
    double sum = 0, squares = 0;
    for (size_t i = c; i < maps.size(); i += stride) sum += maps[i] - less;
    const double mean = sum / count;
    for (size_t i = c; i < maps.size(); i += stride)
      squares += (maps[i] - less - mean) * (maps[i] - less - mean);
    result.mean[c] = mean;
    result.var[c] = squares / count;
  }
  return result;
}

Numbers OutputGradientNumbers::dy(int64_t count, int64_t channels) const {
  Numbers gradient(static_cast<size_t>(count * channels));
  const auto n = static_cast<double>(count);
  for (size_t i = 0; i < gradient.size(); ++i) {
    const size_t c = i % static_cast<size_t>(channels);
    double& dy = gradient[i];
    if (!grad_output.empty()) dy += grad_output[i];
    if (!grad_mean.empty()) dy += grad_mean[c] / n;
    if (!grad_var.empty()) dy += 2 * grad_var[c] * (output[i] - (bias.empty() ? 0 : bias[c]) - mean[c]) / n;
  }
  return gradient;
}

}  // namespace fastgan::test

// gan_loss for torch through the stable ABI: checks of memory facts, allocation, threads, stream.
#include "common/gan_loss.h"

#include <optional>
#include <tuple>

#include "torch/library.h"
#include "torch/tensors.h"
#ifdef FASTGAN_WITH_CPU
#include "cpu/gan_loss.h"
#endif
#ifdef FASTGAN_WITH_CUDA
#include "cuda/gan_loss.h"
#include "torch/cuda_call.h"
#endif

namespace {

using fastgan::dense;
using fastgan::GanLossArguments;
using fastgan::GanLossFamily;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// d_loss, g_loss, statistics, d_grad_real, d_grad_fake, g_grad_real, g_grad_fake
using Results = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

void check(const std::optional<Tensor>& real, const Tensor& fake, int64_t family) {
  STD_TORCH_CHECK(family >= 0 && family <= static_cast<int64_t>(GanLossFamily::kRpgan),
                  "gan_loss: family must be 0 to 4, got ", family);
  STD_TORCH_CHECK(fake.numel() > 0, "gan_loss: fake_logits must not be empty");
  const bool paired = static_cast<GanLossFamily>(family) == GanLossFamily::kRpgan;
  STD_TORCH_CHECK(real.has_value() || !paired, "gan_loss: family rpgan needs real_logits");
  if (!real.has_value()) return;
  STD_TORCH_CHECK(real->numel() > 0, "gan_loss: real_logits must not be empty");
  STD_TORCH_CHECK(real->scalar_type() == fake.scalar_type(), "gan_loss: logits must share one dtype");
  fastgan::check_device(real, fake, "gan_loss", "real_logits");
  STD_TORCH_CHECK(!paired || real->numel() == fake.numel(),
                  "gan_loss: family rpgan needs as many reals as fakes");
}

Results allocate(const std::optional<Tensor>& real, const Tensor& fake, GanLossFamily family) {
  const bool wide = fake.scalar_type() == ScalarType::Double;
  const auto type = std::make_optional(wide ? ScalarType::Double : ScalarType::Float);
  const auto scalar = [&] { return torch::stable::new_empty(fake, {}, type); };
  const auto like = [&](const Tensor& x) { return torch::stable::new_empty(fake, x.sizes(), type); };
  const auto absent = [&] { return torch::stable::new_empty(fake, {0}, type); };
  const bool paired = family == GanLossFamily::kRpgan;
  return {scalar(),
          scalar(),
          torch::stable::new_empty(fake, {4}, type),
          real.has_value() ? like(*real) : absent(),
          like(fake),
          paired ? like(*real) : absent(),
          like(fake)};
}

GanLossArguments arguments(const std::optional<Tensor>& real, const Tensor& fake, GanLossFamily family,
                           const Results& results) {
  const auto& [d_loss, g_loss, statistics, d_grad_real, d_grad_fake, g_grad_real, g_grad_fake] = results;
  GanLossArguments a{};
  a.family = family;
  a.type = fastgan::element_type(fake, "gan_loss");
  a.real = real.has_value() ? real->const_data_ptr() : nullptr;
  a.real_count = real.has_value() ? real->numel() : 0;
  a.fake = fake.const_data_ptr();
  a.fake_count = fake.numel();
  a.d_loss = d_loss.mutable_data_ptr();
  a.g_loss = g_loss.mutable_data_ptr();
  a.statistics = statistics.mutable_data_ptr();
  a.d_grad_real = real.has_value() ? d_grad_real.mutable_data_ptr() : nullptr;
  a.d_grad_fake = d_grad_fake.mutable_data_ptr();
  a.g_grad_real = family == GanLossFamily::kRpgan ? g_grad_real.mutable_data_ptr() : nullptr;
  a.g_grad_fake = g_grad_fake.mutable_data_ptr();
  return a;
}

#ifdef FASTGAN_WITH_CPU
Results gan_loss_cpu(std::optional<Tensor> real_logits, Tensor fake_logits, int64_t family) {
  check(real_logits, fake_logits, family);
  const auto real = dense(real_logits);
  const Tensor fake = dense(fake_logits);
  const auto kind = static_cast<GanLossFamily>(family);
  Results results = allocate(real, fake, kind);
  fastgan::cpu::gan_loss(arguments(real, fake, kind, results), &fastgan::torch_pool);
  return results;
}
#endif

#ifdef FASTGAN_WITH_CUDA
Results gan_loss_cuda(std::optional<Tensor> real_logits, Tensor fake_logits, int64_t family) {
  check(real_logits, fake_logits, family);
  const fastgan::CudaCall call(fake_logits);
  const auto real = dense(real_logits);
  const Tensor fake = dense(fake_logits);
  const auto kind = static_cast<GanLossFamily>(family);
  Results results = allocate(real, fake, kind);
  const GanLossArguments a = arguments(real, fake, kind, results);
  const int64_t tiles = fastgan::gan_loss_tiles(a.real_count, a.fake_count);
  const Tensor partial =
      torch::stable::new_empty(fake, {tiles * fastgan::kGanLossSums}, std::make_optional(ScalarType::Double));
  fastgan::check_launch(fastgan_cuda_gan_loss(&a, partial.mutable_data_ptr(), call.stream()));
  return results;
}
#endif

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(FASTGAN_LIBRARY, m) {
  m.def(
      "gan_loss(Tensor? real_logits, Tensor fake_logits, int family) -> "
      "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
}

#ifdef FASTGAN_WITH_CPU
STABLE_TORCH_LIBRARY_IMPL(FASTGAN_LIBRARY, CPU, m) { m.impl("gan_loss", TORCH_BOX(&gan_loss_cpu)); }
#endif

#ifdef FASTGAN_WITH_CUDA
STABLE_TORCH_LIBRARY_IMPL(FASTGAN_LIBRARY, FASTGAN_CUDA_KEY, m) {
  m.impl("gan_loss", TORCH_BOX(&gan_loss_cuda));
}
#endif

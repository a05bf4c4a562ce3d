// The checks, one source an op or a property. `thorough` or a quick selection of cases.
#pragma once

namespace fastgan::test {

void check_convolutions(bool thorough);
void check_image_independence(bool thorough);
void check_affine_act(bool thorough);
void check_channel_statistics(bool thorough);
void check_gan_loss(bool thorough);
void check_frozen_generator(bool thorough);
void check_noise(bool thorough);

}  // namespace fastgan::test

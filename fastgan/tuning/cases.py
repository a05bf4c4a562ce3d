"""What a device is measured on: every operator, forward and backward, on the layers of the presets."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastgan.models.layers import layers
from fastgan.ops import gan_loss as losses
from fastgan.ops import shape_class
from fastgan.ops.affine_act import affine_act
from fastgan.ops.affine_act_conv2d import affine_act_conv2d
from fastgan.ops.affine_act_conv_transpose2d import affine_act_conv_transpose2d
from fastgan.ops.batch_norm_affine import batch_norm_affine
from fastgan.tuning.scope import Scope

_SLOPE = 0.2
_FORMATS = (torch.contiguous_format, torch.channels_last)
_UP = 0.7, -1.9  # gradients of the two losses

Call = Callable[[], list[Tensor]]
Make = Callable[..., Tensor]  # make(*shape): normal numbers on the device, rounded to the dtype of the case


class Case(NamedTuple):
    """One operator on one shape.

    prepare(device, dtype, wide): a call that gives its results, all it needs made beforehand; the same numbers each
    time, wide: rounded to dtype and then float64. Prepare and call run on the backend that is forced around them.
    """

    operator: str
    shape_class: str
    measured_on: str
    prepare: Callable[[torch.device, torch.dtype, bool], Call]


def cases(scope: Scope) -> list[Case]:
    """One case for each operator and class of shapes, the first that comes."""
    found: dict[tuple[str, str], Case] = {}
    for case in (*_of_layers(scope), *_of_vectors(scope), *_of_losses(scope)):
        found.setdefault((case.operator, case.shape_class), case)
    return list(found.values())


def _of_layers(scope: Scope) -> Iterator[Case]:
    for preset, size, channels in scope.models:
        for layer in layers(preset, size, channels, scope.width):
            for batch in scope.batches:
                for format in _FORMATS:
                    yield from _convolution(layer, batch, format)
                    yield from _pass(layer, batch, format)


def _convolution(layer: dict[str, Any], batch: int, format: torch.memory_format) -> Iterator[Case]:
    transposed, inner, outer = layer["transposed"], layer["inner"], layer["outer"]
    name = "affine_act_conv_transpose2d" if transposed else "affine_act_conv2d"
    operator = affine_act_conv_transpose2d if transposed else affine_act_conv2d
    ends = (inner, outer) if transposed else (outer, inner)
    small = layer["input_size"] if transposed else layer["output_size"]
    plain, statistics = layer["plain_input"], layer["statistics"]

    def tensors(make: Make) -> tuple[Tensor | None, ...]:
        scale, shift = (None, None) if plain else _affine(make, inner)
        x = _input(make, batch, inner, *layer["input_size"], scale=scale, shift=shift, format=format)
        weight = make(*ends, *layer["kernel"]).div(inner**0.5)
        return x, _as(weight, format), scale, shift

    def run(x: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None) -> tuple[Tensor, ...]:
        geometry = (layer["stride"], layer["padding"], *([0] if transposed else []))
        activation = "none" if plain else "leaky_relu"
        results = operator(x, weight, None, scale, shift, activation, _SLOPE, *geometry, statistics)
        return results if statistics else results[:1]

    def upstream(make: Make, results: tuple[Tensor, ...]) -> list[Tensor]:
        y, *rest = results
        # The mean's and the variance's reach every pixel divided by their number: as large as that of y.
        return [_as(make(*y.shape), format), *(make(outer) * (y.numel() / outer) ** 0.5 for _ in rest)]

    shape = torch.empty(batch, inner, *layer["input_size"], device="meta", dtype=torch.float32)
    x, weight = _as(shape, format), _as(shape.new_empty(*ends, *layer["kernel"]), format)
    output_size = layer["output_size"]
    shapes = shape_class.of_convolution(transposed, x, weight, layer["stride"], layer["padding"], output_size)
    title = f"{inner} to {outer} channels, {'x'.join(map(str, small))} small side, batch {batch}"
    yield Case(name, shapes, title, _forward(tensors, run))
    yield Case(f"{name}_backward", shapes, title, _backward(tensors, run, upstream))


def _pass(layer: dict[str, Any], batch: int, format: torch.memory_format) -> Iterator[Case]:
    """affine_act on what the layer gives: the image of a generator, or a map that somebody looks at."""
    channels, sides = layer["outer"], layer["output_size"]
    image = layer["transposed"] and not layer["statistics"]

    def tensors(make: Make) -> tuple[Tensor | None, ...]:
        scale, shift = (None, None) if image else _affine(make, channels)
        return _input(make, batch, channels, *sides, scale=scale, shift=shift, format=format), scale, shift

    def run(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> tuple[Tensor, ...]:
        return (affine_act(x, scale, shift, "tanh" if image else "leaky_relu", 1.0 if image else _SLOPE),)

    def upstream(make: Make, results: tuple[Tensor, ...]) -> list[Tensor]:
        return [_as(make(*results[0].shape), format)]

    shapes = shape_class.of_map(_as(torch.empty(batch, channels, *sides, device="meta"), format))
    title = f"{channels} channels, {'x'.join(map(str, sides))}, batch {batch}"
    yield Case("affine_act", shapes, title, _forward(tensors, run))
    yield Case("affine_act_backward", shapes, title, _backward(tensors, run, upstream))


def _of_vectors(scope: Scope) -> Iterator[Case]:
    """batch_norm_affine with its gradients: one operator, asked for without a shape."""
    counts = {layer["outer"] for model in scope.models for layer in layers(*model, scope.width) if layer["statistics"]}
    for channels in sorted(counts):

        def prepare(device: torch.device, dtype: torch.dtype, wide: bool, channels: int = channels) -> Call:
            make = _maker(device, torch.float32)  # statistics are float32 whatever the maps are
            mean, var, weight, bias = make(channels), make(channels).square() + 0.1, make(channels), make(channels)
            inputs = _leaves((mean, var, weight, bias), wide)
            ups = _wider((make(1, channels), make(1, channels)), wide)

            def call() -> list[Tensor]:
                results = batch_norm_affine(*inputs, 1e-5, 4096)
                return [*results, *torch.autograd.grad(results[:2], inputs, ups)]

            return call

        yield Case("batch_norm_affine", f"{channels} channels", f"{channels} channels", prepare)


def _of_losses(scope: Scope) -> Iterator[Case]:
    """The losses with their gradients, by the names that they are registered under; asked for without a shape."""
    pieces: dict[str, tuple[str, Callable]] = {
        "gan_loss": ("non_saturating", losses.gan_loss),
        "gan_loss_paired": ("rpgan", losses.gan_loss),
        "discriminator_loss": ("non_saturating", losses.discriminator_loss),
        "generator_loss": ("non_saturating", losses.generator_loss),
    }
    for (operator, (family, function)), count in ((each, n) for each in pieces.items() for n in scope.logits):

        def prepare(
            device: torch.device,
            dtype: torch.dtype,
            wide: bool,
            count: int = count,
            family: str = family,
            function: Callable = function,
        ) -> Call:
            make = _maker(device, dtype)
            logits = _leaves((make(count), make(count)), wide)

            def call() -> list[Tensor]:
                results = function(*logits, family)
                results = results if isinstance(results, tuple) else (results,)
                wanted = results[:2]
                ups = [torch.full_like(loss, up) for loss, up in zip(wanted, _UP, strict=False)]
                inputs = logits if function is not losses.generator_loss else logits[1:]
                return [*results, *torch.autograd.grad(wanted, inputs, ups)]

            return call

        yield Case(operator, f"{count} logits", f"{family}, {count} logits", prepare)


def _forward(tensors: Callable, run: Callable) -> Callable[[torch.device, torch.dtype, bool], Call]:
    def prepare(device: torch.device, dtype: torch.dtype, wide: bool) -> Call:
        inputs = _wider(tensors(_maker(device, dtype)), wide)

        def call() -> list[Tensor]:
            with torch.no_grad():
                return list(run(*inputs))

        return call

    return prepare


def _backward(tensors: Callable, run: Callable, upstream: Callable) -> Callable:
    def prepare(device: torch.device, dtype: torch.dtype, wide: bool) -> Call:
        make = _maker(device, dtype)
        inputs = _leaves(tensors(make), wide)
        results = run(*inputs)
        ups = [up.to(result.dtype) for up, result in zip(upstream(make, results), results, strict=True)]
        wanted = [each for each in inputs if each is not None]
        return lambda: list(torch.autograd.grad(results, wanted, ups, retain_graph=True))

    return prepare


def _maker(device: torch.device, dtype: torch.dtype) -> Make:
    generator = torch.Generator(device).manual_seed(0)
    return lambda *shape: torch.randn(shape, generator=generator, device=device).to(dtype)


def _wider(tensors: Iterable[Tensor | None], wide: bool) -> list[Tensor | None]:
    """The same numbers, as float64 if `wide`."""
    return [each.double() if wide and each is not None else each for each in tensors]


def _leaves(tensors: Iterable[Tensor | None], wide: bool) -> list[Tensor | None]:
    return [each if each is None else each.requires_grad_() for each in _wider(tensors, wide)]


def _affine(make: Make, channels: int) -> tuple[Tensor, Tensor]:
    """Rows of scale and shift in the statistics dtype."""
    scale, shift = make(1, channels), make(1, channels)
    return (1 + 0.2 * scale.float()).clamp_min(0.3), 0.2 * shift.float()


def _input(make: Make, *shape: int, scale: Tensor | None, shift: Tensor | None, format: torch.memory_format) -> Tensor:
    """A map whose scale * x + shift stays away from 0, where the activation has its corner and rounding decides."""
    x = make(*shape)
    if scale is not None and shift is not None:
        corner = shift / scale
        z = x.to(scale.dtype)
        x = (z + 0.3 * z.sign() - corner[..., None, None]).to(x.dtype)
    return _as(x, format)


def _as(x: Tensor, format: torch.memory_format) -> Tensor:
    # `contiguous` would leave a map of one channel or one pixel the strides that it has.
    return x.to(memory_format=format) if format == torch.channels_last else x.contiguous()

"""`fuse_` and `unfuse_`: containers change class and back; nothing else of a model changes."""

from __future__ import annotations

from torch import nn

from fastgan.fusion.classes import fused_class, is_fused, original_class
from fastgan.fusion.survey import survey

__all__ = ["fuse_", "unfuse_"]


def fuse_(model: nn.Module) -> nn.Module:
    """Let the containers of a model run their chains of convolution, batch norm and activation fused.

    Children, parameters, buffers, hooks and keys of the state dict stay what and where they are: the class of
    each container that runs a chain becomes a subclass of it with another forward. The containers are every
    `nn.Sequential`, and modules whose own forward `torch.fx` can trace. `report` tells what came of each; docs/fuse.md
    what is left alone. Calling it again does no harm, and takes in what has changed since.

    model: any module, changed in place and returned. Raises TypeError for anything else.
    """
    _check("fuse_", model)
    for found in survey(model):
        if found.chains:
            if not is_fused(found.module):
                found.module.__class__ = fused_class(found.module)
            if found.kind == "forward":
                found.module._fastgan_prepare()
    return model


def unfuse_(model: nn.Module) -> nn.Module:
    """Give every container of the model its own class back, and return the model.

    Raises TypeError for anything but a module, ValueError where somebody has derived from the class `fuse_` gave
    (a parametrisation of the container's own tensors): that has to go first.
    """
    _check("unfuse_", model)
    fused = [module for module in model.modules() if is_fused(module)]
    for module in fused:
        if "_fastgan_original" not in vars(type(module)):
            raise ValueError(
                f"unfuse_: model must hold containers as fuse_ left them, got {type(module).__name__}, derived since"
            )
    for module in fused:
        module.__class__ = original_class(module)
    return model


def _check(name: str, model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"{name}: model must be a torch.nn.Module, got {type(model).__name__}")

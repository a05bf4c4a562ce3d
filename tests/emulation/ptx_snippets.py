"""Small kernels written by hand, for tests of the emulator."""

import numpy as np

from .ptx import Counters, Order, launch

_REGISTERS = {2: "b16", 4: "b32", 8: "b64"}


def kernel(body: str, pointers: int = 1, shared: int = 0, threads: int = 32, target: str = "sm_90") -> str:
    """A kernel `k` of so many pointers, in %p0, %p1 ... as global addresses; %tid.x is in %x.

    Further registers: %r0-%r63 (32 bits), %l0-%l15 (64), %h0-%h15 (16), %q0-%q7 (predicates), %f0-%f63 (32).
    """
    parameters = ", ".join(f".param .u64 .ptr .global .align 16 k_param_{i}" for i in range(pointers))
    loads = "\n".join(f"ld.param.u64 %p{i}, [k_param_{i}];" for i in range(pointers))
    variable = f".shared .align 128 .b8 memory[{shared}];" if shared else ""
    return f"""
        .version 8.7
        .target {target}
        .address_size 64
        .visible .entry k({parameters})
        .reqntid {threads}
        {{
        .reg .b32 %r<64>; .reg .b32 %f<64>; .reg .b64 %l<16>; .reg .b16 %h<16>; .reg .pred %q<8>;
        .reg .b64 %p<8>; .reg .b32 %x;
        {variable}
        {loads}
        mov.u32 %x, %tid.x;
        {body}
        ret;
        }}
    """


def run(
    body: str,
    *tensors,
    shared: int = 0,
    threads: int = 32,
    grid: tuple[int, ...] = (1,),
    order: Order = Order(),  # noqa: B008 (frozen)
    **options,
) -> Counters:
    """Run `body` on these tensors or arrays in place."""
    text = kernel(body, len(tensors), shared, threads)
    return launch(text, grid, threads, tensors, order=order, **options)


def apply(instructions: str, *inputs: np.ndarray, result: type) -> np.ndarray:
    """Each thread has its element of the inputs in %a, %b, %c; what is left in %d comes back."""
    count = len(inputs[0])
    threads = -(-count // 32) * 32
    names = "abcdefgh"[: len(inputs)]
    padded = [np.resize(values, threads) for values in inputs]
    output = np.zeros(threads, result)
    declarations = "".join(
        f".reg .{_REGISTERS[array.dtype.itemsize]} %{name};"
        for name, array in zip((*names, "d"), (*padded, output), strict=True)
    )
    loads = "".join(
        f"mul.wide.u32 %l1, %x, {array.dtype.itemsize}; add.s64 %l1, %l1, %p{i};"
        f"ld.global.b{8 * array.dtype.itemsize} %{name}, [%l1];\n"
        for i, (name, array) in enumerate(zip(names, padded, strict=True))
    )
    size = output.dtype.itemsize
    store = f"mul.wide.u32 %l1, %x, {size}; add.s64 %l1, %l1, %p{len(inputs)};st.global.b{8 * size} [%l1], %d;"
    run(f"{declarations}\n{loads}{instructions}\n{store}", *padded, output, threads=threads)
    return output[:count]

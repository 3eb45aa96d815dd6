"""Dropout whose masks are quick to draw on CPUs.

Torch draws a number in 32 bits for every place. Whether a place is kept needs fewer: here one draw
of 64 bits serves four places, to within 1/65,536 of the share that was asked for.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

WHOLE = 1 << 16


class QuickDropout(nn.Dropout):
    """`torch.nn.Dropout`; on a CPU its masks are drawn another way, from the same generator."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape -> the same, with each place 0 or divided by the share that is kept."""
        dropped = round(self.p * WHOLE)
        is_quick = self.training and 0 < dropped < WHOLE and input.device.type == "cpu"
        if not is_quick:
            return super().forward(input)
        found: Any = _Dropped.apply(input, dropped)
        return found


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, dropped: int) -> Tensor:
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
        places = draws.view(torch.int16)[: x.numel()].view(x.shape)
        kept = (places >= dropped - WHOLE // 2).to(x.dtype).mul_(WHOLE / (WHOLE - dropped))
        ctx.save_for_backward(kept)
        return x * kept

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return gradient * kept, None

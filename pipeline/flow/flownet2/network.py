"""FlowNet 2.0: optical flow from five convolutional networks, in plain PyTorch on a CPU or a GPU.

The paper: Ilg et al., "FlowNet 2.0: Evolution of Optical Flow Estimation with Deep Networks", CVPR 2017,
doi:10.1109/CVPR.2017.179. `FlowNet2.forward` follows its figure 2 from left to right. `FlowNetC` and
`FlowNetS` come from Dosovitskiy et al., "FlowNet: Learning Optical Flow with Convolutional Networks",
ICCV 2015, doi:10.1109/ICCV.2015.316 (figures 2 and 3).

Shapes: N pairs of frames, H x W pixels, both multiples of 64. Flow is in pixels, (N, 2, H, W): channel 0
points right, channel 1 points down. Parameters bear the names and shapes of the published weights: 220
tensors, 162,518,834 parameters.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.flow.flownet2.operators import (
    MAX_DISPLACEMENT,
    channel_norm,
    correlation,
    normalise,
    upsample_bilinear,
    upsample_nearest,
    warp,
)

STRIDE = 64  # the coarsest features have 1/64 of the frames' size
DIV_FLOW = 20.0  # the networks are trained to estimate flow / 20

# The Sequential of each layer gives the published weights their names (conv1.0.weight).


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
    return nn.Sequential(convolution, nn.LeakyReLU(0.1, inplace=True))


def _inter_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1))


def _deconv(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)
    return nn.Sequential(convolution, nn.LeakyReLU(0.1, inplace=True))


def _predict_flow(inputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, 2, 3, padding=1)


def _upsampled_flow(bias: bool) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(2, 2, 4, stride=2, padding=1, bias=bias)


class _FlowNet(nn.Module):
    """What FlowNetC, FlowNetS and FlowNetSD share: coarse features, and the refinement back to 1/4 size.

    `smooth` puts a convolution before each prediction but the first (FlowNet2-SD, section 5.2).
    """

    def __init__(self, level3_channels: int, upsampling_bias: bool, smooth: bool = False) -> None:
        super().__init__()
        self.conv3_1 = _conv(level3_channels, 256)
        self.conv4 = _conv(256, 512, stride=2)
        self.conv4_1 = _conv(512, 512)
        self.conv5 = _conv(512, 512, stride=2)
        self.conv5_1 = _conv(512, 512)
        self.conv6 = _conv(512, 1024, stride=2)
        self.conv6_1 = _conv(1024, 1024)

        self.deconv5 = _deconv(1024, 512)
        self.deconv4 = _deconv(1026, 256)
        self.deconv3 = _deconv(770, 128)
        self.deconv2 = _deconv(386, 64)

        self.inter_conv5 = _inter_conv(1026, 512) if smooth else nn.Identity()
        self.inter_conv4 = _inter_conv(770, 256) if smooth else nn.Identity()
        self.inter_conv3 = _inter_conv(386, 128) if smooth else nn.Identity()
        self.inter_conv2 = _inter_conv(194, 64) if smooth else nn.Identity()

        self.predict_flow6 = _predict_flow(1024)
        self.predict_flow5 = _predict_flow(512 if smooth else 1026)
        self.predict_flow4 = _predict_flow(256 if smooth else 770)
        self.predict_flow3 = _predict_flow(128 if smooth else 386)
        self.predict_flow2 = _predict_flow(64 if smooth else 194)

        self.upsampled_flow6_to_5 = _upsampled_flow(upsampling_bias)
        self.upsampled_flow5_to_4 = _upsampled_flow(upsampling_bias)
        self.upsampled_flow4_to_3 = _upsampled_flow(upsampling_bias)
        self.upsampled_flow3_to_2 = _upsampled_flow(upsampling_bias)

    def refine(self, conv2: Tensor, conv3: Tensor) -> Tensor:
        """Features (N, 128, H/4, W/4) and (N, C, H/8, W/8) -> scaled flow (N, 2, H/4, W/4)."""
        conv3 = self.conv3_1(conv3)  # (N, 256, H/8, W/8)
        conv4 = self.conv4_1(self.conv4(conv3))  # (N, 512, H/16, W/16)
        conv5 = self.conv5_1(self.conv5(conv4))  # (N, 512, H/32, W/32)
        conv6 = self.conv6_1(self.conv6(conv5))  # (N, 1024, H/64, W/64)

        # Each level: the features of its size, and the coarser level's features and flow in twice their size.
        flow: Tensor = self.predict_flow6(conv6)  # (N, 2, H/64, W/64)
        level5 = torch.cat((conv5, self.deconv5(conv6), self.upsampled_flow6_to_5(flow)), 1)  # 1026
        flow = self.predict_flow5(self.inter_conv5(level5))
        level4 = torch.cat((conv4, self.deconv4(level5), self.upsampled_flow5_to_4(flow)), 1)  # 770
        flow = self.predict_flow4(self.inter_conv4(level4))
        level3 = torch.cat((conv3, self.deconv3(level4), self.upsampled_flow4_to_3(flow)), 1)  # 386
        flow = self.predict_flow3(self.inter_conv3(level3))
        level2 = torch.cat((conv2, self.deconv2(level3), self.upsampled_flow3_to_2(flow)), 1)  # 194
        flow = self.predict_flow2(self.inter_conv2(level2))
        return flow


class FlowNetC(_FlowNet):
    """FlowNetCorr: each frame has its own features, which a correlation compares at 1/8 of the size."""

    def __init__(self) -> None:
        super().__init__(level3_channels=32 + (2 * MAX_DISPLACEMENT + 1) ** 2, upsampling_bias=True)
        self.conv1 = _conv(3, 64, kernel=7, stride=2)
        self.conv2 = _conv(64, 128, kernel=5, stride=2)
        self.conv3 = _conv(128, 256, kernel=5, stride=2)
        self.conv_redir = _conv(256, 32, kernel=1)

    def forward(self, pair: Tensor) -> Tensor:
        """Both normalised frames (N, 6, H, W) -> flow / 20 (N, 2, H/4, W/4)."""
        conv2 = self.conv2(self.conv1(torch.cat(pair.chunk(2, dim=1))))  # (2N, 128, H/4, W/4)
        first, second = self.conv3(conv2).chunk(2)  # (N, 256, H/8, W/8) each
        matches = functional.leaky_relu(correlation(first, second), 0.1)  # (N, 441, H/8, W/8)
        conv3 = torch.cat((self.conv_redir(first), matches), 1)  # (N, 473, H/8, W/8)
        return self.refine(conv2.chunk(2)[0], conv3)


class FlowNetS(_FlowNet):
    """FlowNetSimple: corrects the flow of the network before it (section 4)."""

    def __init__(self) -> None:
        super().__init__(level3_channels=256, upsampling_bias=False)
        self.conv1 = _conv(12, 64, kernel=7, stride=2)
        self.conv2 = _conv(64, 128, kernel=5, stride=2)
        self.conv3 = _conv(128, 256, kernel=5, stride=2)

    def forward(self, stack: Tensor) -> Tensor:
        """What `_stack` returns (N, 12, H, W) -> flow / 20 (N, 2, H/4, W/4)."""
        conv2 = self.conv2(self.conv1(stack))  # (N, 128, H/4, W/4)
        return self.refine(conv2, self.conv3(conv2))


class FlowNetSD(_FlowNet):
    """FlowNet2-SD: small kernels and smoothed predictions for small displacements (section 5.2)."""

    def __init__(self) -> None:
        super().__init__(level3_channels=256, upsampling_bias=True, smooth=True)
        self.conv0 = _conv(6, 64)
        self.conv1 = _conv(64, 64, stride=2)
        self.conv1_1 = _conv(64, 128)
        self.conv2 = _conv(128, 128, stride=2)
        self.conv2_1 = _conv(128, 128)
        self.conv3 = _conv(128, 256, stride=2)

    def forward(self, pair: Tensor) -> Tensor:
        """Both normalised frames (N, 6, H, W) -> 20 x flow (N, 2, H/4, W/4): small motion, magnified."""
        conv1 = self.conv1_1(self.conv1(self.conv0(pair)))  # (N, 128, H/2, W/2)
        conv2 = self.conv2_1(self.conv2(conv1))  # (N, 128, H/4, W/4)
        return self.refine(conv2, self.conv3(conv2))


class FlowNetFusion(nn.Module):
    """The small network that merges large and small displacements at full size (section 5.2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = _conv(11, 64)
        self.conv1 = _conv(64, 64, stride=2)
        self.conv1_1 = _conv(64, 128)
        self.conv2 = _conv(128, 128, stride=2)
        self.conv2_1 = _conv(128, 128)
        self.deconv1 = _deconv(128, 32)
        self.deconv0 = _deconv(162, 16)
        self.inter_conv1 = _inter_conv(162, 32)
        self.inter_conv0 = _inter_conv(82, 16)
        self.predict_flow2 = _predict_flow(128)
        self.predict_flow1 = _predict_flow(32)
        self.predict_flow0 = _predict_flow(16)
        self.upsampled_flow2_to_1 = _upsampled_flow(bias=True)
        self.upsampled_flow1_to_0 = _upsampled_flow(bias=True)

    def forward(self, candidates: Tensor) -> Tensor:
        """First frame, both flows, their lengths and brightness errors (N, 11, H, W) -> flow (N, 2, H, W)."""
        conv0 = self.conv0(candidates)  # (N, 64, H, W)
        conv1 = self.conv1_1(self.conv1(conv0))  # (N, 128, H/2, W/2)
        conv2 = self.conv2_1(self.conv2(conv1))  # (N, 128, H/4, W/4)
        flow: Tensor = self.predict_flow2(conv2)
        level1 = torch.cat((conv1, self.deconv1(conv2), self.upsampled_flow2_to_1(flow)), 1)  # 162
        flow = self.predict_flow1(self.inter_conv1(level1))
        level0 = torch.cat((conv0, self.deconv0(level1), self.upsampled_flow1_to_0(flow)), 1)  # 82
        flow = self.predict_flow0(self.inter_conv0(level0))
        return flow


class FlowNet2(nn.Module):
    """FlowNet 2.0 as in figure 2: C, S and S stacked for large motion, SD beside them for small, then Fusion.

    `align_corners` says how the flow of C and of the first S is upsampled for the network after it: True as
    when the published weights were trained, False as the reference implementation does under current PyTorch.
    """

    def __init__(self, align_corners: bool = True) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.flownetc = FlowNetC()
        self.flownets_1 = FlowNetS()
        self.flownets_2 = FlowNetS()
        self.flownets_d = FlowNetSD()
        self.flownetfusion = FlowNetFusion()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """RGB frames (N, 3, H, W), 0-255 in the parameters' dtype -> flow (N, 2, H, W) from first to second.

        Raises TypeError for another dtype, ValueError for another shape or a size that is no multiple of 64.
        """
        self._check(first, second)
        first, second = normalise(first, second)
        pair = torch.cat((first, second), 1)  # (N, 6, H, W)

        # Large displacements: each network corrects the flow of the one before it.
        flow: Tensor = self.flownetc(pair) * DIV_FLOW  # (N, 2, H/4, W/4)
        flow = upsample_bilinear(flow, self.align_corners)  # (N, 2, H, W)
        flow = self.flownets_1(_stack(first, second, flow)) * DIV_FLOW
        flow = upsample_bilinear(flow, self.align_corners)
        flow = self.flownets_2(_stack(first, second, flow)) * DIV_FLOW
        large = upsample_nearest(flow)

        # Small displacements: a network of their own.
        small = upsample_nearest(self.flownets_d(pair) / DIV_FLOW)

        lengths = (channel_norm(small), channel_norm(large))
        errors = (_brightness_error(first, second, small), _brightness_error(first, second, large))
        flow = self.flownetfusion(torch.cat((first, small, large, *lengths, *errors), 1))  # 11 channels
        return flow

    def _check(self, first: Tensor, second: Tensor) -> None:
        dtype = self.flownetfusion.predict_flow0.weight.dtype
        for frame in (first, second):
            if not isinstance(frame, Tensor) or frame.dtype != dtype:
                found = frame.dtype if isinstance(frame, Tensor) else type(frame).__name__
                raise TypeError(f"FlowNet 2.0: frames must be a tensor of {dtype}, but are {found}")
            shape = tuple(frame.shape)
            if len(shape) != 4 or shape[1] != 3 or 0 in shape:
                raise ValueError(f"FlowNet 2.0: frames must have the shape (N, 3, H, W), but have {shape}")
        if first.shape != second.shape:
            shapes = f"{tuple(first.shape)} and {tuple(second.shape)}"
            raise ValueError(f"FlowNet 2.0: both frames must have one shape, but have {shapes}")
        height, width = first.shape[2:]
        if height % STRIDE or width % STRIDE:
            raise ValueError(
                f"FlowNet 2.0: height and width must be multiples of {STRIDE}, but the frames are "
                f"{height} high and {width} wide; resize or pad them (192 x 192 fits)"
            )


def _brightness_error(first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
    return channel_norm(first - warp(second, flow))  # (N, 1, H, W)


def _stack(first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
    """Both frames, the second one warped, flow / 20, brightness error: (N, 12, H, W) (section 4.1)."""
    warped = warp(second, flow)
    return torch.cat((first, second, warped, flow / DIV_FLOW, channel_norm(first - warped)), 1)

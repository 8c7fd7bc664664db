"""FlowNet 2.0: `network` computes the flow, `weights` reads its files, `estimator` gives a study's clips to it."""

from pipeline.flow.flownet2.network import FlowNet2

__all__ = ["FlowNet2"]

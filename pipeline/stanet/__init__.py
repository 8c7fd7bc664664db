"""The paper's method; what other code may import of it is in `network`."""

from pipeline.stanet.network import SpatialAttention, STANet, STANetOutput, stanet_loss, temporal_weights

__all__ = ["STANet", "STANetOutput", "SpatialAttention", "stanet_loss", "temporal_weights"]

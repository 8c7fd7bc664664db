"""STANet under the name by which other code imports it; the network is in `networks.stanet.network`."""

from pipeline.networks.stanet.network import SpatialAttention, STANet, STANetOutput, stanet_loss, temporal_weights

__all__ = ["STANet", "STANetOutput", "SpatialAttention", "stanet_loss", "temporal_weights"]

"""CNN+LSTM, the trained network among the other methods of Table 1 (Kim, Baddar, Ro 2016)."""

"""The simulated USDT-M Futures through real sockets."""

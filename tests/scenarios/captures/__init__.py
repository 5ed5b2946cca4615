"""Every recording of the venues, played through real sockets with accidents at places drawn by lot."""

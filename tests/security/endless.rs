//! Peers that never stop: what is read of them ends at the limits, and so does the memory.

//! Public nearest-neighbour data sets.

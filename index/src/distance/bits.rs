//! The word that bit vectors are made of.

/// Eight coordinates of one bit each, the lowest bit first. A type of its own, since `u8` is a coordinate in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
pub struct Bits8(pub u8);

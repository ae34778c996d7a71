//! The types a coordinate can be stored as, each with its way to its kernels.

use std::fmt::Debug;

use half::f16;

use crate::metric::{ElementType, Metric};

use super::isa::Isa;
use super::kernels::Functions;
use super::scalar;

/// Eight coordinates of one bit each, the lowest bit first. A type of its own, since `u8` is a coordinate in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
pub struct Bits8(pub u8);

/// A stored word: what vectors are slices of.
pub trait Element: bytemuck::Pod + Send + Sync + PartialEq + Debug + Dispatch {
    /// Its name among the element types.
    const TYPE: ElementType;
}

/// The kernels of an element type. Public only by being above [`Element`], which is thereby sealed.
pub trait Dispatch: Sized + 'static {
    /// The kernels for `metric` in `isa`; the caller sees to it that the element supports the metric.
    fn functions(isa: Isa, metric: Metric) -> Functions<Self>;
}

impl Element for f32 {
    const TYPE: ElementType = ElementType::F32;
}

impl Element for f16 {
    const TYPE: ElementType = ElementType::F16;
}

impl Element for u8 {
    const TYPE: ElementType = ElementType::U8;
}

impl Element for i8 {
    const TYPE: ElementType = ElementType::I8;
}

impl Element for Bits8 {
    const TYPE: ElementType = ElementType::Bits;
}

impl Dispatch for f32 {
    fn functions(_: Isa, metric: Metric) -> Functions<f32> {
        scalar::floats(metric)
    }
}

impl Dispatch for f16 {
    fn functions(_: Isa, metric: Metric) -> Functions<f16> {
        scalar::floats(metric)
    }
}

impl Dispatch for u8 {
    fn functions(_: Isa, metric: Metric) -> Functions<u8> {
        scalar::integers(metric)
    }
}

impl Dispatch for i8 {
    fn functions(_: Isa, metric: Metric) -> Functions<i8> {
        scalar::integers(metric)
    }
}

impl Dispatch for Bits8 {
    fn functions(_: Isa, _: Metric) -> Functions<Bits8> {
        scalar::bits()
    }
}

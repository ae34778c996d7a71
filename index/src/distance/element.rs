//! The types a coordinate can be stored as, each with its way to its kernels.

use std::fmt::Debug;

use half::f16;

use crate::metric::{ElementType, Metric};

use super::bits::Bits8;
use super::isa::Isa;
use super::view::Functions;
use super::{bytes, floats, scalar};

/// A stored word: what vectors are slices of.
pub trait Element: bytemuck::Pod + Send + Sync + PartialEq + Debug + Dispatch {
    /// Its name among the element types.
    const TYPE: ElementType;
}

/// The way to an element's kernels. Public only by being above [`Element`], which is thereby sealed.
pub trait Dispatch: Sized + 'static {
    /// The kernels for `metric` in `isa`. The caller sees to it that the element supports the metric and the CPU has `isa`.
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

/// One arm for each instruction set that this architecture may have.
macro_rules! by_isa {
    ($isa:expr, $scalar:expr, $lanes:ident => $simd:expr) => {
        match $isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                type $lanes = super::x86_64::Avx2;
                $simd
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                type $lanes = super::x86_64::Avx512;
                $simd
            }
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => {
                type $lanes = super::aarch64::Registers<super::aarch64::Neon>;
                $simd
            }
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod => {
                type $lanes = super::aarch64::Registers<super::aarch64::Dotprod>;
                $simd
            }
            _ => $scalar,
        }
    };
}

impl Dispatch for f32 {
    fn functions(isa: Isa, metric: Metric) -> Functions<f32> {
        by_isa!(isa, scalar::floats(metric), L => floats::functions::<f32, L>(metric))
    }
}

impl Dispatch for f16 {
    fn functions(isa: Isa, metric: Metric) -> Functions<f16> {
        by_isa!(isa, scalar::floats(metric), L => floats::functions::<f16, L>(metric))
    }
}

impl Dispatch for u8 {
    fn functions(isa: Isa, metric: Metric) -> Functions<u8> {
        by_isa!(isa, scalar::integers(metric), L => bytes::functions::<u8, L>(metric))
    }
}

impl Dispatch for i8 {
    fn functions(isa: Isa, metric: Metric) -> Functions<i8> {
        by_isa!(isa, scalar::integers(metric), L => bytes::functions::<i8, L>(metric))
    }
}

impl Dispatch for Bits8 {
    fn functions(isa: Isa, _: Metric) -> Functions<Bits8> {
        by_isa!(isa, scalar::bits(), L => bytes::bit_functions::<L>())
    }
}

//! Which instruction set the kernels use: the best this CPU has, or the one `VICINO_ISA` names.
//!
//! A name stands for a fixed set of CPU features rather than for each feature alone, so there are few paths and all of them
//! are tested. `avx512` asks for what Ice Lake, Zen 4 and later have; an older AVX-512 CPU takes the `avx2` path.

use std::fmt;
use std::sync::OnceLock;

/// An instruction set that kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust, every CPU: the reference.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL, VNNI and VPOPCNTDQ besides [`Isa::Avx2`].
    Avx512,
    /// AArch64 with Advanced SIMD.
    Neon,
    /// AArch64 with the dot products of Armv8.2 besides [`Isa::Neon`].
    Dotprod,
}

/// `VICINO_ISA` names no instruction set, or one that cannot run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IsaError {
    /// The name is not known.
    #[error("VICINO_ISA: unknown instruction set `{found}`, expected one of scalar, avx2, avx512, neon, dotprod")]
    Unknown {
        /// What the variable holds.
        found: String,
    },
    /// The CPU lacks it.
    #[error("VICINO_ISA: this CPU cannot run `{wanted}`, the best it can is `{best}`")]
    Missing {
        /// What was asked for.
        wanted: Isa,
        /// What this CPU would use unasked.
        best: Isa,
    },
}

impl Isa {
    /// Every instruction set, the fastest last.
    pub const ALL: [Isa; 5] = [Isa::Scalar, Isa::Neon, Isa::Dotprod, Isa::Avx2, Isa::Avx512];

    /// The one in use: `VICINO_ISA` if it is set and not empty, else the best of this CPU. Found once and kept.
    /// Errors if the variable names something unknown or something that this CPU cannot run.
    pub fn detect() -> Result<Isa, IsaError> {
        static DETECTED: OnceLock<Result<Isa, IsaError>> = OnceLock::new();
        let detect = || {
            let wanted = std::env::var_os("VICINO_ISA").unwrap_or_default();
            Isa::choose(&wanted.to_string_lossy(), Isa::available)
        };
        DETECTED.get_or_init(detect).clone()
    }

    /// Whether this CPU, under this operating system, can run it.
    pub fn available(self) -> bool {
        match self {
            Isa::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("avx512vpopcntdq")
            }
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod => Isa::Neon.available() && std::arch::is_aarch64_feature_detected!("dotprod"),
            _ => false,
        }
    }

    /// The name used in `VICINO_ISA` and messages.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Neon => "neon",
            Isa::Dotprod => "dotprod",
        }
    }

    /// What `wanted` asks for on a CPU described by `available`; an empty text asks for the best.
    fn choose(wanted: &str, available: impl Fn(Isa) -> bool) -> Result<Isa, IsaError> {
        let best = Isa::ALL.into_iter().rev().find(|&isa| available(isa)).unwrap_or(Isa::Scalar);
        if wanted.is_empty() {
            return Ok(best);
        }
        let known = Isa::ALL.into_iter().find(|isa| isa.name().eq_ignore_ascii_case(wanted));
        let isa = known.ok_or_else(|| IsaError::Unknown { found: wanted.into() })?;
        if available(isa) { Ok(isa) } else { Err(IsaError::Missing { wanted: isa, best }) }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zen3(isa: Isa) -> bool {
        matches!(isa, Isa::Scalar | Isa::Avx2)
    }

    #[test]
    fn the_best_is_taken_unasked() {
        assert_eq!(Isa::choose("", zen3), Ok(Isa::Avx2));
        assert_eq!(Isa::choose("", |isa| isa == Isa::Scalar), Ok(Isa::Scalar));
        assert_eq!(Isa::choose("", |isa| isa != Isa::Neon), Ok(Isa::Avx512));
    }

    #[test]
    fn a_slower_one_can_be_asked_for() {
        assert_eq!(Isa::choose("scalar", zen3), Ok(Isa::Scalar));
        assert_eq!(Isa::choose("AVX2", zen3), Ok(Isa::Avx2));
    }

    #[test]
    fn refusals_say_what_would_do() {
        let unknown = Isa::choose("sse9", zen3).unwrap_err().to_string();
        assert!(unknown.contains("`sse9`") && unknown.contains("avx512"), "{unknown}");
        let missing = Isa::choose("avx512", zen3).unwrap_err();
        assert_eq!(missing, IsaError::Missing { wanted: Isa::Avx512, best: Isa::Avx2 });
        assert!(missing.to_string().contains("`avx2`"), "{missing}");
    }
}

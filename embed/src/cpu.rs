//! Which build of a loop runs: every hot loop of this crate is written once, in plain Rust, and compiled once for each level.
//!
//! The levels are those of `vicino-index`, and so is the variable: `VICINO_ISA=scalar` or `avx2` asks for less than the CPU
//! has, to test what lesser CPUs run. Other values ask for nothing, and what the CPU lacks is never used.

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use pulp::{Arch, Simd, WithSimd};

/// A set of CPU features that loops are compiled for, the richest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What the target has anyway: SSE2 on x86-64, Advanced SIMD on AArch64.
    Baseline,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL besides [`Level::Avx2`].
    Avx512,
}

impl Level {
    /// Every level.
    pub const ALL: [Level; 3] = [Level::Baseline, Level::Avx2, Level::Avx512];

    /// The level in use: the best of this CPU, or less if `VICINO_ISA` asks for less. Found once and kept.
    pub fn detect() -> Level {
        static DETECTED: OnceLock<Level> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            let most = match std::env::var("VICINO_ISA").unwrap_or_default().to_ascii_lowercase().as_str() {
                "scalar" => Level::Baseline,
                "avx2" => Level::Avx2,
                _ => Level::Avx512,
            };
            let fits = |level: &Level| *level <= most && level.available();
            Level::ALL.into_iter().rev().find(fits).unwrap_or(Level::Baseline)
        })
    }

    /// Whether this CPU, under this operating system, can run it.
    pub fn available(self) -> bool {
        match self {
            Level::Baseline => true,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => {
                Level::Avx2.available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

impl Level {
    /// The same choice as `pulp` names it: the level, or less where `pulp` asks more of the CPU for it.
    pub(crate) fn arch(self) -> Arch {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = (self >= Level::Avx512).then(V4::try_new).flatten();
            let avx2 = (self >= Level::Avx2).then(V3::try_new).flatten();
            avx512.map(Arch::V4).or(avx2.map(Arch::V3)).unwrap_or(Arch::Scalar)
        }
        #[cfg(not(target_arch = "x86_64"))]
        Arch::new()
    }
}

/// Whether [`Level::Baseline`] multiplies and adds in one instruction.
pub(crate) const BASELINE_FUSED: bool = cfg!(target_arch = "aarch64");

/// `a · b + sum`, in one rounding where `FUSED`: at levels whose features make it one instruction.
#[inline(always)]
pub(crate) fn multiply_add<const FUSED: bool>(a: f32, b: f32, sum: f32) -> f32 {
    if FUSED { a.mul_add(b, sum) } else { a * b + sum }
}

/// A loop that is compiled for each instruction set.
///
/// Called as `FnMut`, which is the closure itself. Called as `FnOnce`, as `pulp` calls closures, it may stand behind a shim that is not
/// inlined: then it is compiled for the target's least CPU, and every `mul_add` is a call into the C library.
struct Loop<F>(F);

impl<F: FnMut()> WithSimd for Loop<F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        (self.0)();
    }
}

/// Runs `work` as compiled for `arch`.
#[inline(always)]
pub(crate) fn vectorized(arch: Arch, work: impl FnMut()) {
    arch.dispatch(Loop(work));
}

/// Asks for the cache line of `at`; where there is no such instruction, nothing. Into the second-level cache: the first keeps
/// its few line buffers busy until a line is there, which is what bounds a loop that waits for memory.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn prefetch<E>(at: &E) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64, and a prefetch reads nothing that the program can see.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

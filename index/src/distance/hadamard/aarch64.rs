//! The transform on NEON.

use std::arch::aarch64::*;

use super::signed_by_registers;

signed_by_registers!(signed_neon, "neon", 4, within_neon, vld1q_f32, vst1q_f32, vmulq_f32, vaddq_f32, vsubq_f32);

/// The levels 1 and 2: what is so far away, plus itself, negated where it is the latter of the two.
#[inline]
#[target_feature(enable = "neon")]
fn within_neon(x: float32x4_t) -> float32x4_t {
    const SIGN: u32 = 1 << 31;
    let negated = |x: float32x4_t, latter: [u32; 4]| {
        // SAFETY: four words.
        let signs = unsafe { vld1q_u32(latter.as_ptr()) };
        vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(x), signs))
    };
    let x = vaddq_f32(vrev64q_f32(x), negated(x, [0, SIGN, 0, SIGN]));
    vaddq_f32(vextq_f32::<2>(x, x), negated(x, [0, 0, SIGN, SIGN]))
}

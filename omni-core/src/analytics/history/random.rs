//! Numbers that look random and follow from a seed.

/// The generator `SplitMix64`.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 on and below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(super) fn in_hundred(&mut self, times: u64) -> bool {
        self.below(100) < times
    }

    /// A place by weights.
    pub(super) fn weighted<const N: usize>(&mut self, weights: [u64; N]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (at, weight) in weights.into_iter().enumerate() {
            if left < weight {
                return at;
            }
            left -= weight;
        }
        0
    }

    /// Around a typical value, with a long tail upwards.
    pub(super) fn spread(&mut self, typical: u64) -> u64 {
        let around = typical / 2 + self.below(typical.max(1));
        if self.in_hundred(4) { around * (3 + self.below(10)) } else { around }
    }

    pub(super) fn bytes(&mut self) -> [u8; 10] {
        let (first, second) = (self.next().to_be_bytes(), self.next().to_be_bytes());
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&first);
        bytes[8..].copy_from_slice(&second[..2]);
        bytes
    }
}

//! A set of CPUs, by the kernel's numbers.

use std::fmt;

/// CPUs have numbers below this. Linux knows up to 8192.
pub(super) const MAX_CPUS: usize = 1 << 15;

/// One bit for each CPU, in words of the size that the kernel uses in its masks.
#[derive(Clone, Default)]
pub(crate) struct CpuSet {
    words: Vec<usize>,
}

impl CpuSet {
    /// A mask as the kernel has it.
    pub(super) fn of_words(words: Vec<usize>) -> CpuSet {
        CpuSet { words }
    }

    pub(super) fn words(&self) -> &[usize] {
        &self.words
    }

    /// The kernel's list syntax, as in `0-3,8,10-11` (`Documentation/core-api/printk-formats.rst`,
    /// `%*pbl`). `None`: it is something else, or has a number that no CPU has.
    pub(super) fn parse(list: &[u8]) -> Option<CpuSet> {
        let list = std::str::from_utf8(list).ok()?.trim_ascii();
        let mut cpus = CpuSet::default();
        for range in list.split(',').filter(|_| !list.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            if first > last || last >= MAX_CPUS {
                return None;
            }
            (first..=last).for_each(|cpu| cpus.insert(cpu));
        }
        Some(cpus)
    }

    /// Ignores a number that no CPU has.
    pub(crate) fn insert(&mut self, cpu: usize) {
        if cpu < MAX_CPUS {
            let (word, bit) = place(cpu);
            if self.words.len() <= word {
                self.words.resize(word + 1, 0);
            }
            self.words[word] |= bit;
        }
    }

    pub(crate) fn contains(&self, cpu: usize) -> bool {
        let (word, bit) = place(cpu);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(crate) fn len(&self) -> usize {
        let ones = self.words.iter().map(|word| word.count_ones() as usize);
        ones.sum()
    }

    /// In ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let all = 0..self.words.len() * usize::BITS as usize;
        all.filter(|&cpu| self.contains(cpu))
    }
}

impl FromIterator<usize> for CpuSet {
    fn from_iter<I: IntoIterator<Item = usize>>(cpus: I) -> CpuSet {
        let mut set = CpuSet::default();
        cpus.into_iter().for_each(|cpu| set.insert(cpu));
        set
    }
}

impl PartialEq for CpuSet {
    fn eq(&self, other: &CpuSet) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for CpuSet {}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

fn place(cpu: usize) -> (usize, usize) {
    let bits = usize::BITS as usize;
    (cpu / bits, 1 << (cpu % bits))
}

//! One flat array behind the graph and the rows: grown in memory on huge pages, or a read-only slice of a mapped file.
//!
//! Random reads over hundreds of megabytes miss the TLB at nearly every hop on 4 KiB pages, so owned memory asks for
//! 2 MiB ones; a short array lies on the heap, for a mapping of its own would cost more than it holds. A mapped array is never written: the first change copies it into owned memory.

use std::marker::PhantomData;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use memmap2::MmapMut;

use crate::storage::mmap::MappedFile;

/// A growable array of `T`, zero-filled where it grows, 64-byte aligned.
#[derive(Debug)]
pub(crate) struct Array<T> {
    memory: Memory,
    /// Elements in use.
    len: usize,
    of: PhantomData<T>,
}

#[derive(Debug)]
enum Memory {
    Empty,
    /// Whole cache lines, zero behind the elements in use.
    Heap(Vec<Line>),
    Owned(MmapMut),
    /// `len · size_of::<T>()` bytes of the file from `offset`, which is aligned for any `T` by the file format.
    Mapped {
        file: Arc<MappedFile>,
        offset: usize,
    },
}

/// Bytes of a cache line, at which every array begins.
const LINE: usize = 64;

/// Arrays of fewer bytes than this lie on the heap.
const HEAP_BYTES: usize = 64 << 10;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

impl<T> Default for Array<T> {
    fn default() -> Self {
        Array { memory: Memory::Empty, len: 0, of: PhantomData }
    }
}

impl<T: Pod> Array<T> {
    const SIZE: usize = size_of::<T>();

    /// A view of `len` elements of `file` from byte `offset`. Panics unless the range lies in the file and is aligned.
    pub(crate) fn mapped(file: Arc<MappedFile>, offset: usize, len: usize) -> Self {
        let bytes = &file.bytes()[offset..offset + len * Self::SIZE];
        assert!(bytemuck::try_cast_slice::<u8, T>(bytes).is_ok(), "unaligned section at byte {offset}");
        Array { memory: Memory::Mapped { file, offset }, len, of: PhantomData }
    }

    /// Elements in use.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.len * Self::SIZE
    }

    /// The elements.
    #[inline(always)]
    pub(crate) fn as_slice(&self) -> &[T] {
        let bytes = self.len * Self::SIZE;
        match &self.memory {
            Memory::Empty => &[],
            Memory::Heap(lines) => bytemuck::cast_slice(&bytemuck::cast_slice::<Line, u8>(lines)[..bytes]),
            Memory::Owned(map) => bytemuck::cast_slice(&map[..bytes]),
            Memory::Mapped { file, offset } => bytemuck::cast_slice(&file.bytes()[*offset..offset + bytes]),
        }
    }

    /// The elements, for writing; copies a mapped array into memory first.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        if matches!(self.memory, Memory::Mapped { .. }) {
            self.reallocate(self.len);
        }
        let bytes = self.len * Self::SIZE;
        match &mut self.memory {
            Memory::Heap(lines) => bytemuck::cast_slice_mut(&mut bytemuck::cast_slice_mut::<Line, u8>(lines)[..bytes]),
            Memory::Owned(map) => bytemuck::cast_slice_mut(&mut map[..bytes]),
            Memory::Empty | Memory::Mapped { .. } => &mut [],
        }
    }

    /// Sets the length; new elements are zero. Amortised O(1) per element, as a `Vec`.
    pub(crate) fn resize(&mut self, len: usize) {
        if len > self.capacity() {
            self.reallocate(len.max(self.len + self.len / 2));
        }
        if len < self.len {
            self.as_mut_slice()[len..].fill(T::zeroed());
        }
        self.len = len;
    }

    /// Appends `elements`.
    pub(crate) fn extend(&mut self, elements: &[T]) {
        let at = self.len;
        self.resize(at + elements.len());
        self.as_mut_slice()[at..].copy_from_slice(elements);
    }

    /// Makes room for `len` elements in all, so that growing to it does not copy.
    pub(crate) fn reserve(&mut self, len: usize) {
        if len > self.capacity() {
            self.reallocate(len);
        }
    }

    /// Elements that fit without moving; none in a mapped array, which must be copied to grow.
    fn capacity(&self) -> usize {
        match &self.memory {
            Memory::Heap(lines) => lines.len() * LINE / Self::SIZE,
            Memory::Owned(map) => map.len() / Self::SIZE,
            Memory::Empty | Memory::Mapped { .. } => 0,
        }
    }

    /// Moves the elements into owned memory with room for `capacity`.
    fn reallocate(&mut self, capacity: usize) {
        if capacity == 0 {
            self.memory = Memory::Empty;
            return;
        }
        let bytes = capacity.checked_mul(Self::SIZE).expect("array larger than the address space");
        if bytes < HEAP_BYTES {
            let mut lines = vec![Line::zeroed(); bytes.div_ceil(LINE)];
            let old = bytemuck::cast_slice(self.as_slice());
            bytemuck::cast_slice_mut::<Line, u8>(&mut lines)[..old.len()].copy_from_slice(old);
            self.memory = Memory::Heap(lines);
            return;
        }
        let mut map = MmapMut::map_anon(bytes)
            .unwrap_or_else(|error| panic!("cannot allocate {bytes} bytes for {capacity} elements: {error}"));
        #[cfg(target_os = "linux")]
        if bytes >= HUGE_PAGE {
            // A kernel without huge pages declines; the memory is as good, only slower.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        let old = bytemuck::cast_slice(self.as_slice());
        map[..old.len()].copy_from_slice(old);
        self.memory = Memory::Owned(map);
    }
}

/// Below one huge page there is nothing to ask for.
#[cfg(target_os = "linux")]
const HUGE_PAGE: usize = 2 << 20;

impl<T: Pod> Clone for Array<T> {
    fn clone(&self) -> Self {
        if let Memory::Mapped { file, offset } = &self.memory {
            return Self::mapped(file.clone(), *offset, self.len);
        }
        let mut copy = Array::default();
        copy.resize(self.len);
        copy.as_mut_slice().copy_from_slice(self.as_slice());
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_zeros_and_keeps_what_it_had() {
        let mut array = Array::<u32>::default();
        assert!(array.as_slice().is_empty() && array.as_mut_slice().is_empty());
        for len in [1, 5, 1000, 20_000, 3_000_000] {
            let before = array.len();
            array.resize(len);
            assert!(array.as_slice()[before..].iter().all(|&x| x == 0));
            array.as_mut_slice()[len - 1] = len as u32;
        }
        assert_eq!([array.as_slice()[0], array.as_slice()[4], array.as_slice()[999]], [1, 5, 1000]);
        array.resize(4);
        array.resize(5);
        assert_eq!(array.as_slice()[4], 0, "shrinking forgets");
        assert_eq!(array.as_slice().as_ptr() as usize % 64, 0);
    }
}

//! [`Joint`]: a sketch of the vectors of several columns, as if they were one column's.
//!
//! What a scan over cells looks at grows more slowly than the rows: with more of them cells lie closer, and the nearest rows too; the less
//! so, the more directions rows vary in. So to scan several segments one by one costs more than to scan them as one, and segments come
//! faster than a graph is built of them. A joint sketch is made in a small part of that time. It holds codes alone, of columns that live
//! elsewhere, and may go before it does: their rows are found no more.

use std::ops::Range;
use std::sync::{Arc, Weak};

use crate::ids::Slot;
use crate::params::BuildOptions;
use crate::sketch::{Eligible, Sketch};

use super::column::Column;
use super::scanned::Coded;

#[derive(Debug)]
pub(crate) struct Joint {
    sketch: Sketch,
    members: Vec<Member>,
}

/// A column, and which rows of the sketch are its vectors.
#[derive(Debug)]
struct Member {
    column: Weak<Column>,
    slots: Range<u32>,
}

impl Joint {
    /// Of two columns without graphs or more, whose vectors are of one spec, fewer than 2³² in all. As parallel as `options` say, and the
    /// same on any number of threads.
    pub(crate) fn new(columns: &[Arc<Column>], options: &BuildOptions<'_>) -> Self {
        let vectors: Vec<_> = columns.iter().map(|column| &column.scanned().expect("no graph").vectors).collect();
        let mut end = 0;
        let members = columns.iter().zip(&vectors).map(|(column, vectors)| {
            let first = end;
            end += vectors.len() as u32;
            Member { column: Arc::downgrade(column), slots: first..end }
        });
        let members: Vec<_> = members.collect();
        let decode = |slot: u32, out: &mut Vec<f32>| {
            let of = member_of(&members, slot);
            vectors[of].decode(Slot(slot - members[of].slots.start), out);
        };
        let sketch = Sketch::new(vectors[0].spec(), end as usize, options, decode);
        Joint { sketch, members }
    }

    /// Bytes of codes.
    pub(crate) fn bytes(&self) -> usize {
        self.sketch.bytes()
    }

    /// Vectors, of columns that are gone too.
    pub(crate) fn len(&self) -> usize {
        self.sketch.len()
    }

    /// Whether `column` is in it.
    pub(crate) fn holds(&self, column: &Column) -> bool {
        self.number_of(column).is_some()
    }

    /// The number of `column`, if it is in it.
    pub(crate) fn number_of(&self, column: &Column) -> Option<usize> {
        self.members.iter().position(|member| std::ptr::eq(member.column.as_ptr(), column))
    }

    /// The number of a row's column, and its slot there.
    pub(crate) fn locate(&self, slot: Slot) -> (usize, Slot) {
        let of = member_of(&self.members, slot.0);
        (of, Slot(slot.0 - self.members[of].slots.start))
    }

    /// The rows of `columns`, with their numbers, in order, for a coded scan; `accept` lets no other through.
    pub(crate) fn coded<'a>(&'a self, columns: &[(usize, &'a Column)], accept: &'a dyn Fn(Slot) -> bool) -> Coded<'a> {
        let vectors = columns.iter().map(|&(number, column)| {
            let rows = column.scanned().expect("no graph is put into one");
            (self.members[number].slots.start, &rows.vectors)
        });
        Coded::new(&self.sketch, vectors.collect(), Eligible::If(accept))
    }
}

fn member_of(members: &[Member], slot: u32) -> usize {
    members.partition_point(|member| member.slots.end <= slot)
}

//! [`Joint`]: a sketch of the vectors of several columns, as if they were one column's.
//!
//! What a scan over cells looks at grows more slowly than the rows: with more of them cells lie closer, and the nearest rows too; the less
//! so, the more directions rows vary in. So to scan several segments one by one costs more than to scan them as one, and segments come
//! faster than a graph is built of them. A joint sketch is made in a small part of that time. It holds codes, of columns that live
//! elsewhere, and may go before it does: their rows are found no more. A graph most of whose rows are dead may be a member too: to walk it
//! leads past the dead, while its living rows cost a scan of many others little. Of these it keeps a copy, for a graph's vectors lie in
//! forms of their own.

use std::ops::Range;
use std::sync::{Arc, Weak};

use crate::ids::Slot;
use crate::params::BuildOptions;
use crate::sketch::{Eligible, Sketch};
use crate::spec::VectorSpec;
use crate::vectors::dense::Vectors;

use super::column::Column;
use super::scanned::Coded;

#[derive(Debug)]
pub(crate) struct Joint {
    sketch: Sketch,
    members: Vec<Member>,
}

/// A column that is put into a joint.
#[derive(Debug, Clone)]
pub(crate) struct Entrant {
    pub(crate) column: Arc<Column>,
    /// Of a column with a graph the slots that live, in order; none where all is taken, and there is no graph.
    pub(crate) living: Option<Vec<u32>>,
}

/// A column, and which rows of the sketch are its vectors.
#[derive(Debug)]
struct Member {
    column: Weak<Column>,
    rows: Range<u32>,
    /// Of a column with a graph.
    copied: Option<Copied>,
}

/// Some vectors of a column, with their slots there, in order.
#[derive(Debug)]
struct Copied {
    vectors: Vectors,
    slots: Vec<u32>,
}

impl Entrant {
    fn len(&self) -> usize {
        self.living.as_ref().map_or_else(|| vectors_of(&self.column).len(), Vec::len)
    }
}

impl Joint {
    /// Of two columns or more, whose vectors are of `spec`, fewer than 2³² in all. As parallel as `options` say, and the
    /// same on any number of threads.
    pub(crate) fn new(spec: VectorSpec, entrants: &[Entrant], options: &BuildOptions<'_>) -> Self {
        let mut end = 0;
        let members = entrants.iter().map(|entrant| {
            let Entrant { column, living } = entrant;
            let first = end;
            end += entrant.len() as u32;
            let copied = living.as_ref().map(|slots| Copied::new(spec, column, slots.clone()));
            Member { column: Arc::downgrade(column), rows: first..end, copied }
        });
        let members: Vec<Member> = members.collect();
        let vectors: Vec<&Vectors> =
            members.iter().zip(entrants).map(|(member, entrant)| member.vectors(&entrant.column)).collect();
        let decode = |row: u32, out: &mut Vec<f32>| {
            let of = member_of(&members, row);
            vectors[of].decode(Slot(row - members[of].rows.start), out);
        };
        let sketch = Sketch::new(spec, end as usize, options, decode);
        Joint { sketch, members }
    }

    /// Bytes of codes and copies.
    pub(crate) fn bytes(&self) -> usize {
        let copied = self.members.iter().filter_map(|member| member.copied.as_ref());
        self.sketch.bytes() + copied.map(|Copied { vectors, slots }| vectors.bytes() + 4 * slots.len()).sum::<usize>()
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
    pub(crate) fn locate(&self, row: Slot) -> (usize, Slot) {
        let of = member_of(&self.members, row.0);
        let Member { rows, copied, .. } = &self.members[of];
        let place = row.0 - rows.start;
        (of, Slot(copied.as_ref().map_or(place, |copied| copied.slots[place as usize])))
    }

    /// The rows of `columns`, with their numbers, in order, for a coded scan; `accept` lets no other through.
    pub(crate) fn coded<'a>(&'a self, columns: &[(usize, &'a Column)], accept: &'a dyn Fn(Slot) -> bool) -> Coded<'a> {
        let vectors = columns.iter().map(|&(number, column)| {
            let member = &self.members[number];
            (member.rows.start, member.vectors(column))
        });
        Coded::new(&self.sketch, vectors.collect(), Eligible::If(accept))
    }
}

impl Member {
    /// The vectors of its rows, if it is `column`.
    fn vectors<'a>(&'a self, column: &'a Column) -> &'a Vectors {
        self.copied.as_ref().map_or_else(|| vectors_of(column), |copied| &copied.vectors)
    }
}

impl Copied {
    fn new(spec: VectorSpec, column: &Column, slots: Vec<u32>) -> Self {
        let mut vectors = Vectors::new(spec);
        vectors.reserve(slots.len());
        slots.iter().for_each(|&slot| column.append_to(slot..slot + 1, &mut vectors));
        Copied { vectors, slots }
    }
}

fn vectors_of(column: &Column) -> &Vectors {
    &column.scanned().expect("what has a graph is copied").vectors
}

fn member_of(members: &[Member], row: u32) -> usize {
    members.partition_point(|member| member.rows.end <= row)
}

//! Indexes against evaluation by payload, over random payloads and filters of every kind.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::*;
use crate::filter::{GeoArea, GeoPoint, Moment, Range, Scalar, TextMode, TextQuery, TokenizerKind};

/// Draws by a linear congruential generator.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

const WORDS: [&str; 9] = ["red", "reddish", "Red", "blue-green", "green", "a", "long sofa", "sofa red", "Ünïcode"];

fn id(number: u64) -> String {
    format!("0000000{number:x}-00aa-4000-8000-00000000000{number:x}")
}

/// One value, often of the type that `field` is indexed by.
fn value(draw: &mut Draw, field: usize) -> Value {
    let field = if draw.chance(15) { draw.below(8) as usize } else { field };
    match field {
        0 => json!(draw.one(&WORDS)),
        1 => {
            let small = json!(draw.below(20) as i64 - 10);
            draw.one(&[small, json!(i64::MAX), json!(u64::MAX), json!(7.0)])
        }
        2 => json!((draw.below(40) as f64 - 20.0) / 4.0),
        3 => json!(draw.chance(50)),
        4 => {
            let noon = json!(format!("2024-02-{:02}T12:00:00Z", 1 + draw.below(28)));
            draw.one(&[noon, json!("2024-02-03"), json!("not yet")])
        }
        5 => {
            let known = json!(id(draw.below(9)));
            draw.one(&[known, json!(id(3).to_uppercase()), json!("no-uuid")])
        }
        6 => json!({"lon": draw.below(360) as f64 - 180.0, "lat": draw.below(180) as f64 - 90.0}),
        _ => json!(format!("{} {} {}", draw.one(&WORDS), draw.one(&WORDS), draw.one(&WORDS))),
    }
}

const FIELDS: [&str; 9] = ["key", "int", "real", "flag", "when", "uuid", "place", "text", "deep.key"];

fn payload(draw: &mut Draw) -> Map<String, Value> {
    let mut payload = Map::new();
    for (field, name) in FIELDS.iter().enumerate() {
        let kind = field % 8;
        let found = match draw.below(10) {
            0 => continue,
            1 => json!(null),
            2 => json!([]),
            3 => json!([value(draw, kind), null]),
            4 | 5 => json!([value(draw, kind), value(draw, kind), [value(draw, kind)]]),
            _ => value(draw, kind),
        };
        match name.split_once('.') {
            Some((outer, inner)) => drop(payload.insert(outer.into(), json!({ inner: found }))),
            None => drop(payload.insert((*name).into(), found)),
        }
    }
    if draw.chance(50) {
        let element = |draw: &mut Draw| json!({"key": value(draw, 0), "int": value(draw, 1)});
        payload.insert("list".into(), json!([element(draw), element(draw)]));
    }
    payload
}

fn range<T>(draw: &mut Draw, mut bound: impl FnMut(&mut Draw) -> T) -> Range<T> {
    let mut side = |draw: &mut Draw, percent| if draw.chance(percent) { Some(bound(draw)) } else { None };
    Range { lt: side(draw, 30), gt: side(draw, 30), gte: side(draw, 30), lte: side(draw, 30) }
}

fn place(draw: &mut Draw) -> GeoPoint {
    GeoPoint::new(draw.below(361) as f64 - 180.0, draw.below(181) as f64 - 90.0).unwrap()
}

fn area(draw: &mut Draw) -> GeoArea {
    match draw.below(3) {
        0 => {
            let (a, b) = (place(draw), place(draw));
            let (north, south) = (a.degrees().1.max(b.degrees().1), a.degrees().1.min(b.degrees().1));
            let corner = |lon, lat| GeoPoint::new(lon, lat).unwrap();
            GeoArea::Box { top_left: corner(a.degrees().0, north), bottom_right: corner(b.degrees().0, south) }
        }
        1 => GeoArea::Radius { center: place(draw), metres: 10_f64.powi(draw.below(9) as i32) * 3.0 },
        _ => {
            let ring = |draw: &mut Draw| {
                let mut ring: Vec<GeoPoint> = (0..3 + draw.below(3)).map(|_| place(draw)).collect();
                ring.push(ring[0]);
                ring
            };
            GeoArea::Polygon { exterior: ring(draw), interiors: vec![ring(draw)] }
        }
    }
}

fn scalar(draw: &mut Draw) -> Scalar {
    loop {
        let kind = draw.below(8) as usize;
        if let Some(scalar) = Scalar::of(&value(draw, kind)) {
            return scalar;
        }
    }
}

fn scalars(draw: &mut Draw) -> HashSet<Scalar> {
    (0..draw.below(4)).map(|_| scalar(draw)).collect()
}

fn test(draw: &mut Draw) -> Test {
    match draw.below(8) {
        0 => Test::Equal(scalar(draw)),
        1 => Test::Any(scalars(draw)),
        2 => Test::Except(scalars(draw)),
        3 => Test::Range(range(draw, |draw| {
            let bounds = [0.5, -3.0, 2.0, 7.0, 9_223_372_036_854_775_807.0, -1e300, 1e300];
            draw.one(&bounds)
        })),
        4 => Test::Time(range(draw, |draw| {
            let moments = ["2024-02-03", "2024-02-10T12:00:00Z", "2024-02-20"];
            Moment::parse(draw.one(&moments)).unwrap()
        })),
        5 => Test::Geo(area(draw)),
        6 => Test::Prefix(draw.one(&["", "re", "Red", "x", "sofa "]).into()),
        _ => {
            let text = format!("{} {}", draw.one(&WORDS), draw.one(&["", "red", "so", "nowhere"]));
            Test::Text(TextQuery::new(text, draw.one(&[TextMode::All, TextMode::Any, TextMode::Phrase])))
        }
    }
}

fn condition(draw: &mut Draw, depth: usize) -> Condition {
    let path = PayloadPath::parse(draw.one(&FIELDS)).unwrap();
    match draw.below(if depth == 0 { 7 } else { 9 }) {
        0 => Condition::IsEmpty(path),
        1 => Condition::IsNull(path),
        2 => Condition::Count(path, range(draw, |draw| draw.below(4) as f64)),
        3 => Condition::HasId((0..draw.below(40)).map(|_| PointId::Integer(draw.below(400))).collect()),
        4 => Condition::HasVector(draw.one(&["", "image", "none"]).into()),
        5 | 6 => Condition::Field(path, test(draw)),
        7 => Condition::Nested(PayloadPath::parse("list").unwrap(), filter(draw, depth - 1)),
        _ => Condition::Filter(filter(draw, depth - 1)),
    }
}

fn filter(draw: &mut Draw, depth: usize) -> Filter {
    let some = |draw: &mut Draw, most| (0..draw.below(most)).map(|_| condition(draw, depth)).collect::<Vec<_>>();
    Filter {
        must: some(draw, 3),
        should: some(draw, 3),
        must_not: some(draw, 2),
        min_should: draw.chance(25).then(|| (draw.below(4) as usize, some(draw, 4))),
    }
}

fn types(draw: &mut Draw) -> [FieldType; 9] {
    let kind = draw.one(&[TokenizerKind::Word, TokenizerKind::Whitespace, TokenizerKind::Prefix]);
    let tokenizer = Tokenizer { kind, lowercase: draw.chance(70), min_len: draw.below(3) as usize, max_len: 6 };
    let text = FieldType::Text(TextOptions { tokenizer, phrases: draw.chance(50) });
    use FieldType::{Bool, Datetime, Float, Geo, Integer, Keyword, Uuid};
    [Keyword, Integer, Float, Bool, Datetime, Uuid, Geo, text, Keyword]
}

/// A vector of this name is had by row `row`.
fn has_vector(row: u32, name: &str) -> bool {
    name.is_empty() || name == "image" && row.is_multiple_of(3)
}

/// Rows come, change and go; at every state random filters are answered as evaluation by payload answers them.
#[test]
fn indexes_answer_as_payloads_do() {
    const ROWS: u32 = 300;
    for seed in 0..12 {
        let mut draw = Draw(seed);
        let mut rows: Vec<Option<Map<String, Value>>> = (0..ROWS).map(|_| Some(payload(&mut draw))).collect();
        let mut index = PayloadIndex::default();
        for (name, of) in FIELDS.iter().zip(types(&mut draw)) {
            // Fields without an index are asked by payload.
            if draw.chance(80) {
                let known = (0..ROWS).map(Slot).zip(rows.iter().flatten());
                index.add(PayloadPath::parse(name).unwrap(), of, known);
            }
        }
        for round in 0..40 {
            for _ in 0..10 {
                let row = draw.below(u64::from(ROWS)) as usize;
                if let Some(old) = rows[row].take() {
                    index.remove(Slot(row as u32), &old);
                }
                if draw.chance(70) {
                    let new = payload(&mut draw);
                    index.insert(Slot(row as u32), &new);
                    rows[row] = Some(new);
                }
            }
            if round % 2 == 0 {
                index.seal();
            }
            let mut live = Mask::none(ROWS as usize);
            (0..ROWS).filter(|&row| rows[row as usize].is_some()).for_each(|row| live.insert(Slot(row)));
            let slot = |id: PointId| match id {
                PointId::Integer(row) => Some(Slot(row as u32)).filter(|&slot| live.contains(slot)),
                PointId::Uuid(_) => None,
            };
            let having = |name: &str| {
                let mut mask = Mask::none(ROWS as usize);
                (0..ROWS).filter(|&row| has_vector(row, name)).for_each(|row| mask.insert(Slot(row)));
                mask
            };
            let source = RowSource { live: &live, slot: &slot, having: &having };
            for _ in 0..20 {
                let filter = index.bind(&filter(&mut draw, 2));
                let matches = |slot: Slot| {
                    let has_vector = |name: &str| has_vector(slot.0, name);
                    let payload = rows[slot.index()].as_ref();
                    payload.is_some_and(|payload| {
                        filter.matches_with(PointId::Integer(u64::from(slot.0)), payload, &has_vector)
                    })
                };
                let answer = index.answer(&filter, source);
                let expected: Vec<Slot> = (0..ROWS).map(Slot).filter(|&slot| matches(slot)).collect();
                let sure = answer.sure().clone();
                let place = format!("seed {seed} round {round}: {filter:?}");
                assert!(sure.iter().all(matches), "sure rows match: {place}");
                let estimate = index.estimate(&filter, source);
                assert!(
                    (estimate.min..=estimate.max).contains(&expected.len())
                        && (estimate.min as f64..=estimate.max as f64).contains(&estimate.expected),
                    "{} rows, {estimate:?}: {place}",
                    expected.len()
                );
                assert!(answer.settle(matches).iter().eq(expected), "{place}");
            }
        }
    }
}

/// What an index is made for it answers itself.
#[test]
fn values_of_the_type_need_no_look_at_payloads() {
    let tokenizer = Tokenizer { kind: TokenizerKind::Prefix, ..Tokenizer::default() };
    let text = |text: &str, mode| Test::Text(TextQuery::new(text, mode));
    let place = |lon, lat| json!({"lon": lon, "lat": lat});
    let near = GeoArea::Radius { center: GeoPoint::new(13.4, 52.5).unwrap(), metres: 1e5 };
    let since = Range { gte: Moment::parse("2024-02-02"), ..Range::default() };
    let plain = FieldType::Text(TextOptions { tokenizer, phrases: true });
    let text_values = || vec![json!("red sofa"), json!("sofa, reddish"), json!("blue")];
    let uuids = || vec![json!(id(1)), json!(id(2)), json!(id(1))];
    for (of, values, test, expected) in [
        (
            FieldType::Keyword,
            vec![json!("a"), json!("b"), json!(["c", "a"])],
            Test::Equal(Scalar::Text("a".into())),
            0b101,
        ),
        (FieldType::Keyword, vec![json!("ab"), json!("b"), json!("a")], Test::Prefix("a".into()), 0b101),
        (
            FieldType::Keyword,
            vec![json!("a"), json!("b"), json!(["a", "b"])],
            Test::Except([Scalar::Text("a".into())].into()),
            0b110,
        ),
        (
            FieldType::Integer,
            vec![json!(1), json!(5), json!([0, 9])],
            Test::Range(Range { gt: Some(0.5), lt: Some(5.5), ..Range::default() }),
            0b011,
        ),
        (
            FieldType::Integer,
            vec![json!(1), json!(5), json!(5)],
            Test::Any([Scalar::Integer(5), Scalar::Integer(6)].into()),
            0b110,
        ),
        (
            FieldType::Float,
            vec![json!(1.5), json!(2), json!(3.5)],
            Test::Range(Range { gte: Some(2.0), ..Range::default() }),
            0b110,
        ),
        (
            FieldType::Bool,
            vec![json!(true), json!(false), json!([true, false])],
            Test::Equal(Scalar::Bool(true)),
            0b101,
        ),
        (
            FieldType::Datetime,
            vec![json!("2024-02-01"), json!("2024-02-02"), json!("2025-01-01")],
            Test::Time(since),
            0b110,
        ),
        (FieldType::Uuid, uuids(), Test::Equal(Scalar::Text(id(1))), 0b101),
        (FieldType::Geo, vec![place(13.0, 52.0), place(0.0, 0.0), place(13.4, 52.6)], Test::Geo(near), 0b101),
        (plain, text_values(), text("red", TextMode::All), 0b011),
        (plain, text_values(), text("sofa red", TextMode::Phrase), 0b010),
        (plain, text_values(), text("blue nothing", TextMode::Any), 0b100),
        (plain, text_values(), text("", TextMode::All), 0),
    ] {
        let path = PayloadPath::parse("field").unwrap();
        let mut index = PayloadIndex::default();
        index.add(path.clone(), of, std::iter::empty());
        for (value, row) in values.into_iter().zip(0..) {
            index.insert(Slot(row), json!({ "field": value }).as_object().unwrap());
        }
        let named = format!("{of:?} {test:?}");
        let filter = index.bind(&Filter { must: vec![Condition::Field(path, test)], ..Filter::default() });
        let live = Mask::all(3);
        let source = RowSource { live: &live, slot: &|_| None, having: &|_| Mask::none(3) };
        for _ in 0..2 {
            let answer = index.answer(&filter, source);
            assert_eq!((answer.sure().words()[0], answer.open()), (expected, None), "{named}");
            index.seal();
        }
    }
}

/// Ranges over more rows than a rung has, 400 of which have two values.
#[test]
fn ladders_answer_as_trees_do() {
    let mut draw = Draw(7);
    let path = PayloadPath::parse("n").unwrap();
    let (mut index, rows) = (PayloadIndex::default(), 20_000);
    index.add(path.clone(), FieldType::Integer, std::iter::empty());
    for row in 0..rows {
        let value = if row % 50 == 0 { json!([draw.below(5000), draw.below(5000)]) } else { json!(draw.below(5000)) };
        index.insert(Slot(row), json!({ "n": value }).as_object().unwrap());
    }
    let mut sealed = index.clone();
    sealed.seal();
    let live = Mask::all(rows as usize);
    let source = RowSource { live: &live, slot: &|_| None, having: &|_| Mask::none(0) };
    for _ in 0..200 {
        let (a, b) = (draw.below(5100) as f64, draw.below(5100) as f64);
        let range = Range { gte: Some(a.min(b)), lt: Some(a.max(b)), ..Range::default() };
        let filter = Filter { must: vec![Condition::Field(path.clone(), Test::Range(range))], ..Filter::default() };
        let (by_tree, by_ladder) = (index.answer(&filter, source), sealed.answer(&filter, source));
        assert_eq!(by_tree, by_ladder, "{range:?}");
        let estimate = sealed.estimate(&filter, source);
        let count = by_ladder.sure().len();
        assert!((estimate.min..=estimate.max).contains(&count) && estimate.max - count <= 400, "{estimate:?} {count}");
    }
}

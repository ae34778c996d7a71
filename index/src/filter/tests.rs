//! Filters compared with what they mean, value by value.
#![allow(clippy::needless_pass_by_value, reason = "conditions and values are written where they are asked")]

use serde_json::json;

use super::*;

fn payload() -> Map<String, Value> {
    let payload = json!({
        "city": "Berlin", "n": 7, "x": 2.5, "yes": true, "nothing": null, "empty": [], "tags": ["a", "b"], "nums": [1, 5, 9],
        "holes": [1, null], "deep": {"er": {"key": "v"}, "list": [{"k": 1, "ok": true}, {"k": 2, "ok": false}]},
        "when": "2024-02-29T12:00:00+02:00", "place": {"lon": 13.4, "lat": 52.5}, "a.b": 1,
    });
    payload.as_object().unwrap().clone()
}

fn holds(condition: Condition) -> bool {
    Filter { must: vec![condition], ..Filter::default() }.matches(PointId::Integer(3), &payload())
}

fn at(path: &str) -> PayloadPath {
    PayloadPath::parse(path).unwrap()
}

fn field(path: &str, test: Test) -> bool {
    holds(Condition::Field(at(path), test))
}

fn set(values: Value) -> HashSet<Scalar> {
    values.as_array().unwrap().iter().filter_map(Scalar::of).collect()
}

fn equal(path: &str, value: Value) -> bool {
    field(path, Test::Equal(Scalar::of(&value).unwrap()))
}

#[test]
fn values_and_elements_are_compared_by_type() {
    for (path, value, expected) in [
        ("city", json!("Berlin"), true),
        ("city", json!("berlin"), false),
        ("n", json!(7), true),
        ("n", json!("7"), false),
        ("n", json!(true), false),
        ("yes", json!(true), true),
        ("tags", json!("b"), true),
        ("tags[0]", json!("b"), false),
        ("tags[1]", json!("b"), true),
        ("tags[9]", json!("b"), false),
        ("nums", json!(5), true),
        ("deep.er.key", json!("v"), true),
        ("deep.list[].k", json!(2), true),
        ("deep.list.k", json!(2), false),
        ("\"a.b\"", json!(1), true),
        ("a.b", json!(1), false),
        ("absent", json!(1), false),
    ] {
        assert_eq!(equal(path, value.clone()), expected, "{path} = {value}");
    }
    assert!(field("n", Test::Any(set(json!([1, 7, "x"])))) && !field("n", Test::Any(set(json!([])))));
    assert!(field("n", Test::Except(set(json!([1, 2])))) && !field("n", Test::Except(set(json!([7])))));
    assert!(field("n", Test::Except(HashSet::new())) && field("tags", Test::Except(set(json!(["a"])))));
    for path in ["absent", "nothing", "empty"] {
        assert!(!field(path, Test::Except(HashSet::new())), "{path} has no value");
    }
}

#[test]
fn bounds_are_open_or_closed_as_named() {
    let range = |lt, gt, gte, lte| Test::Range(Range { lt, gt, gte, lte });
    assert!(field("x", range(Some(3.0), Some(2.0), Some(2.5), Some(2.5))) && field("x", Test::Range(Range::default())));
    assert!(!field("x", range(Some(2.5), None, None, None)) && !field("x", range(None, Some(2.5), None, None)));
    assert!(field("nums", range(None, Some(8.0), None, None)) && !field("nums", range(None, Some(9.0), None, None)));
    assert!(!field("city", Test::Range(Range::default())) && !field("absent", Test::Range(Range::default())));
    let time = |text: &str| Moment::parse(text).unwrap();
    let since = |text| field("when", Test::Time(Range { gte: Some(time(text)), ..Range::default() }));
    assert!(since("2024-02-29T10:00:00Z") && since("2024-02-29") && !since("2024-02-29T10:00:00.000001Z"));
}

#[test]
fn empty_null_and_counts() {
    let empty = |path: &str| holds(Condition::IsEmpty(at(path)));
    let null = |path: &str| holds(Condition::IsNull(at(path)));
    let found: Vec<[bool; 2]> =
        ["absent", "nothing", "empty", "holes", "n", "tags"].iter().map(|path| [empty(path), null(path)]).collect();
    let expected = [[true, false], [true, true], [true, false], [false, true], [false, false], [false, false]];
    assert_eq!(found, expected);
    for (path, count) in [("nums", 3.0), ("n", 1.0), ("empty", 0.0), ("absent", 0.0), ("nothing", 0.0), ("tags", 2.0)] {
        let exactly = Range { gte: Some(count), lte: Some(count), ..Range::default() };
        assert!(holds(Condition::Count(at(path), exactly)), "{path}");
    }
}

#[test]
fn clauses_combine_and_nested_ones_hold_for_one_element() {
    let yes = || Condition::HasId([PointId::Integer(3)].into());
    let no = || Condition::HasId([PointId::Integer(4)].into());
    let matches = |filter: Filter| filter.matches(PointId::Integer(3), &payload());
    assert!(matches(Filter::default()));
    for (must, should, must_not, expected) in [
        (vec![yes()], vec![], vec![], true),
        (vec![yes(), no()], vec![], vec![], false),
        (vec![], vec![no(), yes()], vec![], true),
        (vec![], vec![no()], vec![], false),
        (vec![], vec![], vec![no()], true),
        (vec![yes()], vec![yes()], vec![no(), yes()], false),
    ] {
        assert_eq!(matches(Filter { must, should, must_not, min_should: None }), expected);
    }
    for (least, expected) in [(0, true), (2, true), (3, false)] {
        let min_should = Some((least, vec![yes(), no(), yes()]));
        assert_eq!(matches(Filter { min_should, ..Filter::default() }), expected, "{least}");
    }
    let element = |k: i64, ok: bool| {
        let is = |path: &str, scalar| Condition::Field(at(path), Test::Equal(scalar));
        let must = vec![is("k", Scalar::Integer(k)), is("ok", Scalar::Bool(ok))];
        holds(Condition::Nested(at("deep.list"), Filter { must, ..Filter::default() }))
    };
    assert!(element(1, true) && element(2, false) && !element(1, false) && !element(2, true));
    assert!(!holds(Condition::Filter(Filter { must: vec![no()], ..Filter::default() })));
}

#[test]
fn moments_are_read_as_rfc_3339_writes_them() {
    let micros = |text: &str| Moment::parse(text).map(|moment| moment.0);
    assert_eq!(micros("1970-01-01T00:00:00Z"), Some(0));
    // Computed by Python: calendar.timegm.
    for (text, seconds) in [
        ("2000-02-29T00:00:00Z", 951_782_400),
        ("1969-12-31 23:59:59Z", -1),
        ("2023-02-08T10:49:00", 1_675_853_340),
        ("0001-01-01", -62_135_596_800),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
        ("2024-01-01T00:30:00+01:00", 1_704_065_400),
        ("2024-01-01T00:30-01:00", 1_704_072_600),
    ] {
        assert_eq!(micros(text), Some(seconds * 1_000_000), "{text}");
    }
    assert_eq!(micros("1970-01-01T00:00:00.5Z"), Some(500_000));
    assert_eq!(micros("1970-01-01T00:00:00.1234567Z"), Some(123_456));
    for bad in [
        "",
        "2023-02-29",
        "2023-13-01",
        "2023-1-1",
        "2023-01-01T24:00:00Z",
        "2023-01-01T00:00:00.Z",
        "x",
        "2023-01-01Tü",
    ] {
        assert_eq!(Moment::parse(bad), None, "{bad:?}");
    }
}

#[test]
fn places_lie_in_areas() {
    let place = |lon, lat| GeoPoint::new(lon, lat).unwrap();
    let (berlin, paris, fiji) = (place(13.405, 52.52), place(2.3522, 48.8566), place(179.4, -17.8));
    // 877.5 km by the haversine formula.
    let within = |metres| GeoArea::Radius { center: berlin, metres }.contains(paris);
    assert!(within(878_000.0) && !within(877_000.0));
    let area =
        |west, north, east, south| GeoArea::Box { top_left: place(west, north), bottom_right: place(east, south) };
    assert!(area(10.0, 55.0, 15.0, 50.0).contains(berlin) && !area(10.0, 55.0, 15.0, 50.0).contains(paris));
    assert!(area(170.0, 0.0, -170.0, -20.0).contains(fiji) && !area(170.0, 0.0, -170.0, -20.0).contains(berlin));
    let square = |side: f64| vec![place(-side, -side), place(side, -side), place(side, side), place(-side, side)];
    let ring = GeoArea::Polygon { exterior: square(10.0), interiors: vec![square(5.0)] };
    assert!(ring.contains(place(7.0, 0.0)) && !ring.contains(place(0.0, 0.0)) && !ring.contains(place(11.0, 0.0)));
    assert!(
        field("place", Test::Geo(area(13.0, 53.0, 14.0, 52.0)))
            && !field("city", Test::Geo(area(-180.0, 90.0, 180.0, -90.0)))
    );
    assert_eq!(GeoPoint::new(181.0, 0.0), None);
}

#[test]
fn texts_that_are_no_paths_are_refused_where_they_break() {
    for (path, words) in [
        ("", "expected a key at byte 0"),
        ("a.", "expected a key at byte 2"),
        ("a[", "expected `]` after `[` at byte 1"),
        ("a[x]", "expected a number or nothing in brackets at byte 1"),
        ("a]b", "expected `.` or `[` at byte 1"),
        ("\"a", "expected a key at byte 0"),
    ] {
        let error = PayloadPath::parse(path).unwrap_err().to_string();
        assert!(error.ends_with(words), "{error}");
    }
}
